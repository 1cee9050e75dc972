"""How each engine is started for this workload: a command, with a reason for each of its flags. Pure.

vLLM's flags are those of version 0.32, tried on its CPU build. Docker's and TGI's are from their documentation, and
were not run here: https://docs.vllm.ai/en/stable/deployment/docker/ and
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
from chatdev.settings.others import Hub

Engine = Literal["vllm", "docker", "tgi", "llamacpp"]
ENGINES: tuple[Engine, ...] = ("vllm", "docker", "tgi", "llamacpp")

GRACE = 30
"""Seconds that answers under way have to end when vLLM is stopped."""

STRUCTURED = '{"backend":"xgrammar","disable_any_whitespace":true}'
NGRAM = '{"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":4}'
_COPIED = "guesses words that stand in the prompt, as whole files mostly do; not measured on a GPU yet"

VLLM_IMAGE = "vllm/vllm-openai:latest"
VLLM_ROCM_IMAGE = "vllm/vllm-openai-rocm:latest"
VLLM_CPU_IMAGE = "vllm/vllm-openai-cpu:latest-x86_64"
TGI_IMAGE = "ghcr.io/huggingface/text-generation-inference:latest"
_AMD_DEVICES = ("--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "video")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for. ``extra`` is passed on as it is; ``key`` is whether the server is to want one.

    ``container`` is a name that no container has yet, and ``gpus`` are those that were chosen, None for all.
    """

    model: str
    port: int = 8000
    name: str = ""
    key: bool = False
    speculate: bool = False
    extra: tuple[str, ...] = ()
    container: str = "chatdev"
    gpus: tuple[str, ...] | None = None


class Part(msgspec.Struct, frozen=True):
    """Some words of a command, and why they are there."""

    words: tuple[str, ...]
    why: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A command to start a server. ``variables`` are suggested (NAME=VALUE): what the user has set wins over them.

    ``served`` is the model's name there. ``remark`` is a word of caution, and ``cleanup`` a command that takes away
    what could be left.
    """

    engine: Engine
    parts: tuple[Part, ...]
    served: str
    port: int
    variables: tuple[Part, ...] = ()
    remark: str = ""
    cleanup: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """The command as the system takes it."""
        return tuple(word for part in self.parts for word in part.words)

    @property
    def environment(self) -> dict[str, str]:
        """The suggested variables, by name."""
        return dict(word.split("=", 1) for part in self.variables for word in part.words)

    @property
    def endpoint(self) -> str:
        """Where it will answer."""
        return f"http://localhost:{self.port}/v1"

    def command(self) -> str:
        """The command as a person types it, one part a line."""
        words = [part.words for part in (*self.variables, *self.parts)]
        first = 1 + len(self.variables)
        head = " ".join(shlex.join(each) for each in words[:first])
        return " \\\n  ".join([head, *(shlex.join(each) for each in words[first:])])


def usable(machine: Machine) -> tuple[Gpu, ...]:
    """GPUs that are large enough to serve a model of any use (4 GiB)."""
    return tuple(gpu for gpu in machine.gpus if gpu.total >= 4 << 30)


def chosen(machine: Machine, need: Need) -> tuple[Engine, str]:
    """The engine for this machine and model, and why."""
    gpus = usable(machine)
    if need.form == "gguf":
        return "llamacpp", "a GGUF file is llama.cpp's own form"
    if gpus:
        return "vllm", f"there is an {gpus[0].maker} GPU"
    return "llamacpp", "there is no GPU here that could serve a model"


def tensor_parallel(need: Need, gpus: int) -> int:
    """Among how many GPUs the model is divided: the most that its attention heads can be shared out to evenly."""
    if need.heads:
        return next(n for n in range(gpus, 0, -1) if need.heads % n == 0)
    return 1 << (gpus.bit_length() - 1)


def memory_share(gpus: Sequence[Gpu]) -> float:
    """The part of each GPU's memory that may be used: what nobody else has, less half a GiB, at most 0.92."""
    free = min((gpu.free - (1 << 29)) / gpu.total for gpu in gpus)
    return min(0.92, int(max(free, 0) * 100) / 100)


def plan(engine: Engine, order: Order, machine: Machine, need: Need, fit: Fit, hub: Hub) -> Plan:
    """The command for an engine."""
    make = {"vllm": _vllm, "docker": _docker, "tgi": _tgi, "llamacpp": _llamacpp}[engine]
    made = make(order, machine, need, fit, hub)
    flags = {word.partition("=")[0] for word in order.extra if word.startswith("--")}
    parts = tuple(part for part in made.parts if part.words[0] not in flags)
    if order.extra:
        parts += (Part(order.extra, "yours, from behind --"),)
    return msgspec.structs.replace(made, parts=parts)


def _served(order: Order, need: Need) -> str:
    return order.name or need.name


def _vllm(order: Order, machine: Machine, need: Need, fit: Fit, hub: Hub) -> Plan:
    model = str(need.path or order.model)
    gpus = usable(machine)
    return Plan(
        engine="vllm",
        parts=(
            Part(("vllm", "serve", model), "vLLM's own server"),
            Part(("--host", "127.0.0.1"), "reachable from this machine alone"),
            Part(("--port", str(order.port)), "where VLLM_ENDPOINT will point"),
            *_vllm_flags(order, need, fit, gpus),
        ),
        served=_served(order, need),
        port=order.port,
        variables=() if gpus else (Part((_cpu_cache(need, fit),), _WHY_CACHE),),
    )


_WHY_CACHE = "GiB for the KV cache, which would else be most of the memory"


def _cpu_cache(need: Need, fit: Fit) -> str:
    """The variable that bounds the KV cache of vLLM's CPU build: the GiB of one window, rounded up."""
    return f"VLLM_CPU_KVCACHE_SPACE={max(1, -(-need.kv * (fit.window or 0) >> 30))}"


def _vllm_flags(order: Order, need: Need, fit: Fit, gpus: Sequence[Gpu]) -> tuple[Part, ...]:
    """What vLLM is told in and out of a container."""
    parts = [Part(("--served-model-name", _served(order, need)), "the name that runs ask for")]
    window = str(fit.window or "auto")
    why = "the model's own, as far as it fits" if fit.window is None else "tokens for a prompt and its answer"
    parts.append(Part(("--max-model-len", window), why))
    if gpus:
        parallel = tensor_parallel(need, len(gpus))
        share = memory_share(gpus)
        among = f"of {len(gpus)} GPUs" if len(gpus) > 1 else "there is one GPU"
        parts.append(Part(("--tensor-parallel-size", str(parallel)), f"divides the model among GPUs: {among}"))
        parts.append(Part(("--gpu-memory-utilization", f"{share:.2f}"), _why_share(gpus)))
    parts += [
        Part(("--enable-prefix-caching",), "prompts of a run begin alike: what was read once is not read again"),
        Part(("--structured-outputs-config", STRUCTURED), "JSON without free white space, which weak models never end"),
        Part(("--enable-prompt-tokens-details",), "tells in each answer how much came from the prefix cache"),
        Part(("--shutdown-timeout", str(GRACE)), "answers under way may end, for so many seconds"),
    ]
    if order.speculate:
        parts.append(Part(("--speculative-config", NGRAM), _COPIED))
    return tuple(parts)


def _why_share(gpus: Sequence[Gpu]) -> str:
    used = max(gpu.used for gpu in gpus)
    if used < 1 << 30:
        return "share of the GPU's memory; the rest is for its driver"
    users = ", ".join(dict.fromkeys(f"{user.name} (pid {user.pid})" for gpu in gpus for user in gpu.users))
    return f"share of the GPU's memory; {size(used)} of it is used already{f' by {users}' if users else ''}"


def _docker(order: Order, machine: Machine, need: Need, fit: Fit, hub: Hub) -> Plan:
    gpus = usable(machine)
    maker = gpus[0].maker if gpus else "CPU"
    image = {"NVIDIA": VLLM_IMAGE, "AMD": VLLM_ROCM_IMAGE, "CPU": VLLM_CPU_IMAGE}[maker]
    model, mount = _mounted(order, need)
    parts = [
        *_container(order, f"{order.port}:8000"),
        *_devices(order, maker),
        Part(("--ipc=host",), "PyTorch's processes share memory"),
        Part(("--volume", f"{hub.cache}:/root/.cache/huggingface/hub"), "your cache of models: nothing comes twice"),
        *mount,
        *_variables(order, hub, "VLLM_API_KEY"),
    ]
    if not gpus:
        parts.append(Part(("--env", _cpu_cache(need, fit)), _WHY_CACHE))
    parts += [
        Part((image,), f"vLLM's image for {maker}; the first time it is pulled, 10 GB or so"),
        Part(("--model", model), "what is served"),
        *_vllm_flags(order, need, fit, gpus),
    ]
    return _in_container("docker", order, parts, _served(order, need))


def _container(order: Order, ports: str) -> tuple[Part, ...]:
    return (
        Part(("docker", "run"), "the engine in a container"),
        Part(("--rm",), "nothing of it is left when it ends"),
        Part(("--name", order.container), "so that it can be stopped by its name"),
        Part(("--pull", "missing"), "pulls the image if it is not here yet"),
        Part(("-p", f"127.0.0.1:{ports}"), "reachable from this machine alone"),
    )


def _devices(order: Order, maker: str) -> tuple[Part, ...]:
    if maker == "NVIDIA":
        which = "all" if order.gpus is None else f'"device={",".join(order.gpus)}"'
        return (Part(("--gpus", which), "needs the NVIDIA Container Toolkit"),)
    if maker == "AMD":
        why = "the way to AMD's GPUs"
        return (
            Part((*_AMD_DEVICES, "--cap-add=SYS_PTRACE"), why),
            Part(("--security-opt", "seccomp=unconfined"), "ROCm needs it"),
        )
    return ()


def _mounted(order: Order, need: Need) -> tuple[str, tuple[Part, ...]]:
    """The model's name in the container, and the mount of its folder if it lies on this machine."""
    if need.path is None:
        return order.model, ()
    return "/model", (Part(("--volume", f"{need.path}:/model:ro"), "the model's folder, to read"),)


def _variables(order: Order, hub: Hub, key: str) -> tuple[Part, ...]:
    """Secrets go by the environment: a command line can be seen by everybody on the machine."""
    parts = []
    if hub.token:
        parts.append(Part(("--env", "HF_TOKEN"), "your token for the Hub, by the environment"))
    if order.key:
        parts.append(Part(("--env", key), "the key that clients must send, by the environment"))
    return tuple(parts)


def _in_container(engine: Engine, order: Order, parts: Sequence[Part], served: str) -> Plan:
    return Plan(
        engine=engine,
        parts=tuple(parts),
        served=served,
        port=order.port,
        remark="This command is from the engine's documentation; it was not run where ChatDev is made.",
        cleanup=("docker", "rm", "--force", order.container),
    )


def _tgi(order: Order, machine: Machine, need: Need, fit: Fit, hub: Hub) -> Plan:
    gpus = usable(machine)
    maker = gpus[0].maker if gpus else "CPU"
    model, mount = _mounted(order, need)
    parts = [
        *_container(order, f"{order.port}:80"),
        *_devices(order, maker),
        Part(("--shm-size", "1g"), "NCCL's shared memory"),
        Part(("--volume", f"{hub.cache}:/data"), "your cache of models: nothing comes twice"),
        *mount,
        *_variables(order, hub, "API_KEY"),
        Part((TGI_IMAGE + ("-rocm" if maker == "AMD" else ""),), "TGI's image; it is in maintenance only since 2025"),
        Part(("--model-id", model), "what is served"),
    ]
    if fit.window:
        parts.append(Part(("--max-total-tokens", str(fit.window)), "tokens for a prompt and its answer"))
        parts.append(Part(("--max-input-tokens", str(fit.window * 3 // 4)), "tokens of it that a prompt may take"))
    if gpus:
        among = "divides the model among GPUs"
        parts.append(Part(("--num-shard", str(tensor_parallel(need, len(gpus)))), among))
        share = f"{memory_share(gpus):.2f}"
        parts.append(Part(("--cuda-memory-fraction", share), _why_share(gpus)))
    else:
        parts.append(Part(("--disable-custom-kernels",), "there is no GPU; TGI is not meant for that, and slow"))
    if order.speculate:
        parts.append(Part(("--speculate", "3"), _COPIED))
    return _in_container("tgi", order, parts, model)


def _llamacpp(order: Order, machine: Machine, need: Need, fit: Fit, hub: Hub) -> Plan:
    parts = [
        Part(
            (sys.executable, "-m", "chatdev.ops.serving.llamacpp", str(need.path)),
            "llama.cpp's server, out of its wheel",
        ),
        Part(("--host", "127.0.0.1"), "reachable from this machine alone"),
        Part(("--port", str(order.port)), "where VLLM_ENDPOINT will point"),
        Part(("--name", _served(order, need)), "the name that runs ask for"),
        Part(("--window", str(fit.window or 0)), "tokens for a prompt and its answer, in each slot"),
        Part(("--slots", str(fit.slots)), "answers at once, batched together; each has a window of its own"),
        Part(("--poll", "0"), "threads that wait sleep and do not spin: programs run on the same processors"),
    ]
    if order.speculate:
        parts.append(Part(("--speculate",), _COPIED))
    return Plan(engine="llamacpp", parts=tuple(parts), served=_served(order, need), port=order.port)
