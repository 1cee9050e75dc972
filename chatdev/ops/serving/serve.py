"""Starts the server that the user asked for, waits until it answers, and stops all its processes at the end."""

import asyncio
import contextlib
import importlib.util
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from chatdev.errors import ChatDevError, UserError
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.errors import ModelError
from chatdev.ops import machine
from chatdev.ops.machine import Machine
from chatdev.ops.serving import engines, fit, llamacpp, weights
from chatdev.ops.serving.engines import Engine, ServePlan, ServeSpec
from chatdev.ops.serving.fit import Fit, ModelMemory
from chatdev.ops.serving.processes import Child
from chatdev.ops.serving.server_log import Condenser, clean, meaning
from chatdev.ops.serving.weights import Need
from chatdev.settings import Secret, Settings
from chatdev.settings.others import HubSettings, inherited

Say = Callable[[str], None]

_GIB = 1 << 30
_GPU_OVERHEAD = 3 * _GIB // 2
"""What an engine needs on each GPU besides weights and cache: context, activations, CUDA graphs. A rule of thumb."""
_CPU_VLLM_OVERHEAD = 2 * _GIB
"""vLLM's processes on a CPU: 3 GB with a tiny model and 1 GiB of cache."""
_LLAMACPP_OVERHEAD = _GIB // 2 + (llamacpp.PROMPT_CACHE << 20)
_GPU_FORMS: Mapping[str, float] = {
    "An FP8 build (look for NAME-FP8)": weights.EIGHT_BITS,
    "A 4-bit build (look for NAME-AWQ or NAME-GPTQ-Int4)": weights.FOUR_BITS,
}
_SLOTS = (4, 2, 1)
_POLL = 0.25  # seconds between two checks whether it answers
HEARTBEAT = 15.0  # seconds between progress messages during a slow start


class ServerFailed(ChatDevError):
    """The server did not start, or ended by itself. Exit status 1."""


def check_model(engine: Engine, order: ServeSpec, need: Need) -> None:
    """Raise UserError if this engine cannot read a model in this format; the message says what to do instead."""
    if engine == "llamacpp":
        if need.form == "gguf" and need.path:
            return
        raise _not_gguf(order, need)
    if need.form == "gguf":
        raise UserError(
            f"{order.model} is a GGUF model. GGUF is llama.cpp's format; {engine} does not read it.",
            do="Leave --engine out, or serve the original model: the page on the Hub names it.",
        )


def _not_gguf(order: ServeSpec, need: Need) -> UserError:
    if need.gguf_files:
        return UserError(
            f"{order.model} is not downloaded yet, and llama.cpp needs a GGUF file on disk.",
            tried=need.gguf_files[:8],
            do=f"Download one of its files, about as large as your memory allows (Q4_K_M is a good compromise):\n"
            f"  hf download {order.model} {_compromise(need)} --local-dir .\nThen: chatdev serve {_compromise(need)}",
        )
    what = "a folder of safetensors" if need.path else "a model for GPUs (safetensors)"
    return UserError(
        f"{order.model} is {what}, but llama.cpp, the engine for machines without a GPU, needs a GGUF file.",
        do=f"Most models have a GGUF version on the Hub: look for {need.name}-GGUF, download one of its files (Q4_K_M "
        "is a good compromise), and serve it:\n  chatdev serve FILE.gguf\n"
        "With vLLM's CPU build, --engine vllm serves the model as it is.",
    )


def _compromise(need: Need) -> str:
    return next((name for name in need.gguf_files if "q4_k_m" in name.lower()), need.gguf_files[0])


def fitted(engine: Engine, need: Need, seen: Machine, window: int | None, *, force: bool = False) -> Fit:
    """The window that fits into memory. Raises DoesNotFit with the calculation, unless ``force`` is set."""
    gpus = engines.usable(seen)
    slots: tuple[int, ...] = (1,)
    forms = _GPU_FORMS
    if engine == "llamacpp":
        room = ModelMemory(seen.available, _LLAMACPP_OVERHEAD, "free memory")
        slots, forms = _SLOTS, {f"{form} (GGUF)": bits for form, bits in weights.GGUF_BITS.items()}
    elif gpus:
        number = engines.tensor_parallel(need, len(gpus))
        share = engines.memory_share(gpus)
        size = round(min(gpu.total for gpu in gpus) * share) * number
        room = ModelMemory(
            size, _GPU_OVERHEAD * number, f"on {number} GPU{'s' if number > 1 else ''} (share {share:.2f})"
        )
    else:
        room = ModelMemory(seen.available, _CPU_VLLM_OVERHEAD, "free memory")
    try:
        return fit.fit(need, room, window, forms, slots)
    except fit.DoesNotFit as error:
        if not force:
            raise
        return Fit(window or fit.SMALLEST_WINDOW, 1, error.what)


def missing(engine: Engine, seen: Machine) -> UserError | None:
    """What must be installed before this engine can start; None if nothing is missing."""
    if engine == "llamacpp":
        if importlib.util.find_spec("xllamacpp"):
            return None
        return UserError("llama.cpp's server is not installed.", do=f"Install it:\n  {llamacpp.INSTALL}")
    if engine == "vllm":
        if shutil.which("vllm"):
            return None
        amd = any(gpu.maker == "AMD" for gpu in seen.gpus)
        how = (
            "AMD's build: see https://docs.vllm.ai/en/stable/getting_started/installation/gpu/ or use --engine docker"
            if amd
            else "python3 -m venv vllm && vllm/bin/pip install vllm\n  export PATH=$PWD/vllm/bin:$PATH"
        )
        return UserError("vllm is not on your PATH.", do=f"Install it, preferably in its own environment:\n  {how}")
    if shutil.which("docker"):
        return None
    return UserError("docker is not on your PATH.", do="Install it: https://docs.docker.com/engine/install/")


def free_port() -> int:
    """An unused port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def port_problem(port: int) -> UserError | None:
    """The error for a port in use, with the process that holds it; None if the port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return UserError(f"Port {port} is reserved for root.", do="Choose one above 1023: --port 8000")
        except OSError:
            pass
        else:
            if not (by := machine.holder(port)):
                return None
            return _port_in_use(port, by)
    return _port_in_use(port, machine.holder(port))


def _port_in_use(port: int, by: str) -> UserError:
    return UserError(
        f"Port {port} is in use{f' by {by}' if by else ''}.",
        do=f"Stop that process, or choose another port: --port {free_port()}",
    )


def refuse_other_systems(system: str) -> None:
    """Raise UserError if ``system`` (``sys.platform``) is not Linux."""
    if system != "linux":
        raise UserError(
            "chatdev serve runs on Linux only.",
            do="Start a server yourself (on a Mac: llama.cpp, Ollama or LM Studio), and point VLLM_ENDPOINT to it.",
        )


class Service:
    """A server that was started from a plan."""

    def __init__(self, plan: ServePlan, child: Child, settings: Settings, say: Say) -> None:
        self._plan, self._child, self._settings, self._say = plan, child, settings, say
        self._up = False
        self._following = asyncio.create_task(self._follow())

    @classmethod
    async def start(cls, plan: ServePlan, secrets: Mapping[str, str], settings: Settings, say: Say) -> "Service":
        """Start it, with ``secrets`` in its environment. ``settings`` are those of a client that can reach it.

        ``say`` gets lines of its log: few until it answers, and all of them from then on. Raises UserError.
        """
        return cls(plan, await Child.start(plan.argv, inherited(plan.environment, secrets)), settings, say)

    async def _follow(self) -> None:
        condenser = Condenser()
        async for line in self._child.lines():
            if self._up:
                self._say(line)
            elif shown := condenser.condense(line):
                self._say(f"  {shown}")

    async def until_it_answers(self, progress: Callable[[], str]) -> str:
        """Wait until it serves the model; returns the model's name there. Raises ServerFailed if it ends before.

        ``progress`` returns a progress message for a slow start; if it is empty, the last line of the log is shown.
        """
        clock = asyncio.get_running_loop().time
        began = reported_at = clock()
        while not (model := await self._model()):
            if clock() - reported_at > HEARTBEAT:
                reported_at = clock()
                self._say(f"  {reported_at - began:.0f} s: {progress() or self._last_words()}")
            if self._child.exit_status is not None:
                await self._fail("did not start")
            await asyncio.sleep(_POLL)
        self._up = True
        return model

    def _last_words(self) -> str:
        last = next((text for line in reversed(self._child.last) if (text := clean(line))), "no output yet")
        return f"still starting ({last[:80]})"

    async def _model(self) -> str:
        """The name of the model that it serves; empty while it does not answer."""
        backend = EndpointModel.of_vllm(self._settings)
        try:
            return (await backend.facts()).model
        except ModelError:
            return ""
        finally:
            await backend.aclose()

    async def until_it_ends(self) -> NoReturn:
        """Wait until it ends by itself: that is a failure. Raises ServerFailed."""
        await self._child.ended()
        await self._fail("ended")

    async def _fail(self, how: str) -> NoReturn:
        await asyncio.wait([self._following], timeout=2)  # its last lines may not have arrived yet
        status = self._child.exit_status or 0
        lines = [line for line in self._child.last if line.strip()]
        words = [f"  {line[:200]}" for line in lines[-12:]]
        raise ServerFailed(
            f"{self._plan.engine} {how} ({f'signal {-status}' if status < 0 else f'exit status {status}'}). "
            "Its last lines:",
            do="\n".join([*words, *filter(None, [meaning(lines)])]),
        )

    async def stop(self) -> None:
        """Stop it and all that belongs to it; if this is cancelled, by force."""
        try:
            await self._child.stop(engines.GRACE + 5)
        finally:
            self._following.cancel()
            if self._plan.cleanup:
                await _quietly(self._plan.cleanup)


async def _quietly(argv: tuple[str, ...]) -> None:
    """Run a command; if it fails, there was nothing to do."""
    with contextlib.suppress(UserError, TimeoutError):
        child = await Child.start(argv, inherited({}, {}))
        try:
            async with asyncio.timeout(20):
                async for _ in child.lines():
                    pass
                await child.ended()
        finally:
            await child.stop(1)


def as_client(settings: Settings, plan: ServePlan, key: Secret | None) -> Settings:
    """The settings with which our own client reaches the server."""
    return msgspec.structs.replace(
        settings,
        vllm_endpoint=f"http://127.0.0.1:{plan.port}/v1",
        vllm_model_name="default",
        vllm_api_key=key,
    )


def secrets(plan: ServePlan, key: Secret | None, hub: HubSettings) -> dict[str, str]:
    """The server's secrets as environment variables, since a command line would show them."""
    shown = {"HF_TOKEN": hub.token, "API_KEY" if plan.engine == "tgi" else "VLLM_API_KEY": key}
    return {name: secret.reveal() for name, secret in shown.items() if secret}


def downloaded(model: str, need: Need, cache: Path) -> str:
    """How much of a model has been downloaded from the Hub, in words; empty if nothing is left to download."""
    if not need.download:
        return ""
    blobs = cache / f"models--{model.replace('/', '--')}" / "blobs"
    came = sum(file.stat().st_size for file in blobs.glob("*")) if blobs.is_dir() else 0
    return f"{fit.size(came)} of {fit.size(need.download)} downloaded" if came < need.download else ""
