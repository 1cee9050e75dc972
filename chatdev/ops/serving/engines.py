"""How each engine is started for this workload: a command, with a reason for each of its flags. Pure.

vLLM's flags are those of version 0.32, tested on its CPU build. Docker's and TGI's are from their documentation and
were not tested: https://docs.vllm.ai/en/stable/deployment/docker/ and
https://huggingface.co/docs/text-generation-inference/quicktour
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Literal

import msgspec

from chatdev.ops.machine import Gpu, Machine
from chatdev.ops.serving.fit import Fit, size
from chatdev.ops.serving.weights import Need
from chatdev.settings.others import HubSettings

Engine = Literal["vllm", "docker", "tgi", "llamacpp"]
ENGINES: tuple[Engine, ...] = ("vllm", "docker", "tgi", "llamacpp")

GRACE = 30
"""Seconds for unfinished answers to complete when vLLM is stopped."""

STRUCTURED = '{"backend":"xgrammar","disable_any_whitespace":true}'
NGRAM = '{"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":4}'
_COPIED = "n-gram speculation: files are mostly copied from the prompt; not measured on a GPU yet"

VLLM_IMAGE = "vllm/vllm-openai:latest"
VLLM_ROCM_IMAGE = "vllm/vllm-openai-rocm:latest"
VLLM_CPU_IMAGE = "vllm/vllm-openai-cpu:latest-x86_64"
TGI_IMAGE = "ghcr.io/huggingface/text-generation-inference:latest"
_AMD_DEVICES = ("--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "video")


class ServeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for. ``extra`` is passed on unchanged; ``key``: the server requires one.

    ``container`` is a name that no container has yet; ``gpus`` are the chosen GPUs, None for all.
    """

    model: str
    port: int = 8000
    name: str = ""
    key: bool = False
    speculate: bool = False
    extra: tuple[str, ...] = ()
    container: str = "chatdev"
    gpus: tuple[str, ...] | None = None


class CommandPart(msgspec.Struct, frozen=True):
    """Some words of a command, and why they are there."""

    words: tuple[str, ...]
    why: str


class ServePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A command to start a server. ``variables`` are suggested (NAME=VALUE): the user's own settings override them.

    ``served`` is the model's name on the server. ``remark`` is a note of caution, ``cleanup`` a command that removes
    what could be left.
    """

    engine: Engine
    parts: tuple[CommandPart, ...]
    served: str
    port: int
    variables: tuple[CommandPart, ...] = ()
    remark: str = ""
    cleanup: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """The command as a list of arguments."""
        return tuple(word for part in self.parts for word in part.words)

    @property
    def environment(self) -> dict[str, str]:
        """The suggested variables, by name."""
        return dict(word.split("=", 1) for part in self.variables for word in part.words)

    @property
    def endpoint(self) -> str:
        """The address where it will answer."""
        return f"http://localhost:{self.port}/v1"

    def command(self) -> str:
        """The command as typed in a shell, one part per line."""
        words = [part.words for part in (*self.variables, *self.parts)]
        first = 1 + len(self.variables)
        head = " ".join(shlex.join(each) for each in words[:first])
        return " \\\n  ".join([head, *(shlex.join(each) for each in words[first:])])


def usable(machine: Machine) -> tuple[Gpu, ...]:
    """GPUs that are large enough to serve a useful model (4 GiB)."""
    return tuple(gpu for gpu in machine.gpus if gpu.total >= 4 << 30)


def chosen(machine: Machine, need: Need) -> tuple[Engine, str]:
    """The engine for this machine and model, and why."""
    gpus = usable(machine)
    if need.form == "gguf":
        return "llamacpp", "GGUF is llama.cpp's format"
    if gpus:
        return "vllm", f"there is an {gpus[0].maker} GPU"
    return "llamacpp", "there is no GPU that could serve a model"


def tensor_parallel(need: Need, gpus: int) -> int:
    """How many GPUs to split the model across: the largest number that divides its attention heads evenly."""
    if need.heads:
        return next(n for n in range(gpus, 0, -1) if need.heads % n == 0)
    return 1 << (gpus.bit_length() - 1)


def memory_share(gpus: Sequence[Gpu]) -> float:
    """The share of each GPU's memory that may be used: what is free, less half a GiB, at most 0.92."""
    free = min((gpu.free - (1 << 29)) / gpu.total for gpu in gpus)
    return min(0.92, int(max(free, 0) * 100) / 100)


def plan(engine: Engine, order: ServeSpec, machine: Machine, need: Need, fit: Fit, hub: HubSettings) -> ServePlan:
    """The command for an engine."""
    make = {"vllm": _vllm, "docker": _docker, "tgi": _tgi, "llamacpp": _llamacpp}[engine]
    made = make(order, machine, need, fit, hub)
    flags = {word.partition("=")[0] for word in order.extra if word.startswith("--")}
    parts = tuple(part for part in made.parts if part.words[0] not in flags)
    if order.extra:
        parts += (CommandPart(order.extra, "your own flags, given after --"),)
    return msgspec.structs.replace(made, parts=parts)


def _served(order: ServeSpec, need: Need) -> str:
    return order.name or need.name


def _vllm(order: ServeSpec, machine: Machine, need: Need, fit: Fit, hub: HubSettings) -> ServePlan:
    model = str(need.path or order.model)
    gpus = usable(machine)
    return ServePlan(
        engine="vllm",
        parts=(
            CommandPart(("vllm", "serve", model), "vLLM's own server"),
            CommandPart(("--host", "127.0.0.1"), "reachable only from this machine"),
            CommandPart(("--port", str(order.port)), "the port in VLLM_ENDPOINT"),
            *_vllm_flags(order, need, fit, gpus),
        ),
        served=_served(order, need),
        port=order.port,
        variables=() if gpus else (CommandPart((_cpu_cache(need, fit),), _WHY_CACHE),),
    )


_WHY_CACHE = "GiB for the KV cache; by default it takes most of the memory"


def _cpu_cache(need: Need, fit: Fit) -> str:
    """The variable that limits the KV cache of vLLM's CPU build: the GiB of one window, rounded up."""
    return f"VLLM_CPU_KVCACHE_SPACE={max(1, -(-need.kv * (fit.window or 0) >> 30))}"


def _vllm_flags(order: ServeSpec, need: Need, fit: Fit, gpus: Sequence[Gpu]) -> tuple[CommandPart, ...]:
    """vLLM's flags, in and out of a container."""
    parts = [CommandPart(("--served-model-name", _served(order, need)), "the model name that runs use")]
    window = str(fit.window or "auto")
    why = "the model's own window, as far as it fits" if fit.window is None else "tokens for a prompt and its answer"
    parts.append(CommandPart(("--max-model-len", window), why))
    if gpus:
        parallel = tensor_parallel(need, len(gpus))
        share = memory_share(gpus)
        among = f"{len(gpus)} found" if len(gpus) > 1 else "one found"
        parts.append(CommandPart(("--tensor-parallel-size", str(parallel)), f"splits the model across GPUs; {among}"))
        parts.append(CommandPart(("--gpu-memory-utilization", f"{share:.2f}"), _why_share(gpus)))
    parts += [
        CommandPart(("--enable-prefix-caching",), "prompts of a run share a prefix: it is processed only once"),
        CommandPart(
            ("--structured-outputs-config", STRUCTURED), "prevents endless white space in the JSON of weak models"
        ),
        CommandPart(("--enable-prompt-tokens-details",), "reports in each answer how much came from the prefix cache"),
        CommandPart(("--shutdown-timeout", str(GRACE)), "seconds for unfinished answers to complete at a stop"),
    ]
    if order.speculate:
        parts.append(CommandPart(("--speculative-config", NGRAM), _COPIED))
    return tuple(parts)


def _why_share(gpus: Sequence[Gpu]) -> str:
    used = max(gpu.used for gpu in gpus)
    if used < 1 << 30:
        return "share of the GPU's memory; the rest is for its driver"
    users = ", ".join(dict.fromkeys(f"{user.name} (pid {user.pid})" for gpu in gpus for user in gpu.users))
    return f"share of the GPU's memory; {size(used)} of it is already used{f' by {users}' if users else ''}"


def _docker(order: ServeSpec, machine: Machine, need: Need, fit: Fit, hub: HubSettings) -> ServePlan:
    gpus = usable(machine)
    maker = gpus[0].maker if gpus else "CPU"
    image = {"NVIDIA": VLLM_IMAGE, "AMD": VLLM_ROCM_IMAGE, "CPU": VLLM_CPU_IMAGE}[maker]
    model, mount = _mounted(order, need)
    parts = [
        *_container(order, f"{order.port}:8000"),
        *_devices(order, maker),
        CommandPart(("--ipc=host",), "PyTorch's processes share memory"),
        CommandPart(
            ("--volume", f"{hub.cache}:/root/.cache/huggingface/hub"), "your model cache: no repeated downloads"
        ),
        *mount,
        *_variables(order, hub, "VLLM_API_KEY"),
    ]
    if not gpus:
        parts.append(CommandPart(("--env", _cpu_cache(need, fit)), _WHY_CACHE))
    parts += [
        CommandPart((image,), f"vLLM's image for {maker}; about 10 GB to pull the first time"),
        CommandPart(("--model", model), "the model to serve"),
        *_vllm_flags(order, need, fit, gpus),
    ]
    return _in_container("docker", order, parts, _served(order, need))


def _container(order: ServeSpec, ports: str) -> tuple[CommandPart, ...]:
    return (
        CommandPart(("docker", "run"), "runs the engine in a container"),
        CommandPart(("--rm",), "removes the container when it ends"),
        CommandPart(("--name", order.container), "the name to stop it by"),
        CommandPart(("--pull", "missing"), "pulls the image if it is missing"),
        CommandPart(("-p", f"127.0.0.1:{ports}"), "reachable only from this machine"),
    )


def _devices(order: ServeSpec, maker: str) -> tuple[CommandPart, ...]:
    if maker == "NVIDIA":
        which = "all" if order.gpus is None else f'"device={",".join(order.gpus)}"'
        return (CommandPart(("--gpus", which), "needs the NVIDIA Container Toolkit"),)
    if maker == "AMD":
        why = "access to AMD's GPUs"
        return (
            CommandPart((*_AMD_DEVICES, "--cap-add=SYS_PTRACE"), why),
            CommandPart(("--security-opt", "seccomp=unconfined"), "ROCm needs it"),
        )
    return ()


def _mounted(order: ServeSpec, need: Need) -> tuple[str, tuple[CommandPart, ...]]:
    """The model's name in the container, and the mount of its folder if it is on this machine."""
    if need.path is None:
        return order.model, ()
    return "/model", (CommandPart(("--volume", f"{need.path}:/model:ro"), "the model's folder, read-only"),)


def _variables(order: ServeSpec, hub: HubSettings, key: str) -> tuple[CommandPart, ...]:
    """Secrets are passed in the environment: every user of the machine can see command lines."""
    parts = []
    if hub.token:
        parts.append(CommandPart(("--env", "HF_TOKEN"), "your token for the HubSettings, from the environment"))
    if order.key:
        parts.append(CommandPart(("--env", key), "the key that clients must send, from the environment"))
    return tuple(parts)


def _in_container(engine: Engine, order: ServeSpec, parts: Sequence[CommandPart], served: str) -> ServePlan:
    return ServePlan(
        engine=engine,
        parts=tuple(parts),
        served=served,
        port=order.port,
        remark="This command follows the engine's documentation; the ChatDev project has not tested it.",
        cleanup=("docker", "rm", "--force", order.container),
    )


def _tgi(order: ServeSpec, machine: Machine, need: Need, fit: Fit, hub: HubSettings) -> ServePlan:
    gpus = usable(machine)
    maker = gpus[0].maker if gpus else "CPU"
    model, mount = _mounted(order, need)
    parts = [
        *_container(order, f"{order.port}:80"),
        *_devices(order, maker),
        CommandPart(("--shm-size", "1g"), "shared memory for NCCL"),
        CommandPart(("--volume", f"{hub.cache}:/data"), "your model cache: no repeated downloads"),
        *mount,
        *_variables(order, hub, "API_KEY"),
        CommandPart((TGI_IMAGE + ("-rocm" if maker == "AMD" else ""),), "TGI's image; in maintenance mode since 2025"),
        CommandPart(("--model-id", model), "the model to serve"),
    ]
    if fit.window:
        parts.append(CommandPart(("--max-total-tokens", str(fit.window)), "tokens for a prompt and its answer"))
        parts.append(
            CommandPart(("--max-input-tokens", str(fit.window * 3 // 4)), "of these, tokens for the prompt at most")
        )
    if gpus:
        among = "splits the model across GPUs"
        parts.append(CommandPart(("--num-shard", str(tensor_parallel(need, len(gpus)))), among))
        share = f"{memory_share(gpus):.2f}"
        parts.append(CommandPart(("--cuda-memory-fraction", share), _why_share(gpus)))
    else:
        parts.append(CommandPart(("--disable-custom-kernels",), "there is no GPU; TGI is slow and not made for that"))
    if order.speculate:
        parts.append(CommandPart(("--speculate", "3"), _COPIED))
    return _in_container("tgi", order, parts, model)


def _llamacpp(order: ServeSpec, machine: Machine, need: Need, fit: Fit, hub: HubSettings) -> ServePlan:
    parts = [
        CommandPart(
            (sys.executable, "-m", "chatdev.ops.serving.llamacpp", str(need.path)),
            "llama.cpp's server, from its Python wheel",
        ),
        CommandPart(("--host", "127.0.0.1"), "reachable only from this machine"),
        CommandPart(("--port", str(order.port)), "the port in VLLM_ENDPOINT"),
        CommandPart(("--name", _served(order, need)), "the model name that runs use"),
        CommandPart(("--window", str(fit.window or 0)), "tokens for a prompt and its answer, for each slot"),
        CommandPart(("--slots", str(fit.slots)), "parallel answers, batched together; each has its own window"),
        CommandPart(("--poll", "0"), "waiting threads sleep instead of spinning: programs run on the same cores"),
    ]
    if order.speculate:
        parts.append(CommandPart(("--speculate",), _COPIED))
    return ServePlan(engine="llamacpp", parts=tuple(parts), served=_served(order, need), port=order.port)
