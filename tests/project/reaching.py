"""Runs on several endpoints that fail on demand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from helpers.support import ANSWERS, Ran, recording

from chatdev import runs, wiring
from chatdev.errors import ChatDevError
from chatdev.journal import store
from chatdev.journal.events import ModelAnswered
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.choose import choose
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Recording
from chatdev.playback.server import Playback
from chatdev.settings import load

PLAYED = recording(ANSWERS)
HASTY = "[deadlines]\nfirst_token = 0.6\nidle = 0.6\ntotal = 1.2\n"
"""Deadlines for a server that falls silent; a healthy playback answers in milliseconds."""


def at_all_places(**said: object) -> list[FaultSpec]:
    """A manner for every chat of the run, and for nothing else that is asked of a server."""
    return [FaultSpec(place=place.split("/")[0], **said) for place in ANSWERS]  # type: ignore[arg-type]


async def begun(
    warehouse: Path,
    endpoints: Sequence[str],
    *,
    toml: str = "",
    folder: Path | None = None,
    breakers: BreakerRegistry | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Ran | None, ChatDevError | None, Path]:
    """A run on these endpoints to its end, or to the error that stopped it."""
    (warehouse / "chatdev.toml").write_text(toml)
    settings = load({"VLLM_ENDPOINT": ",".join(endpoints)} | dict(environment or {}), warehouse)
    choice = await choose("VLLM", settings, breakers or BreakerRegistry(backoff=(0.01,), rest=0.001))
    folder = folder or runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), warehouse)
    try:
        verdict = await wiring.work(folder, choice)
    except ChatDevError as error:
        return None, error, folder
    finally:
        await choice.backend.aclose()
    return Ran(folder, verdict, store.read(runs.log_of(folder))), None, folder


def answers(folder: Path) -> list[ModelAnswered]:
    """All answers that were recorded."""
    return [r.event for r in store.read(runs.log_of(folder)) if isinstance(r.event, ModelAnswered)]


def served(*manners: FaultSpec, played: Recording = PLAYED) -> Playback:
    """A server that behaves like this."""
    return Playback(played, manners=manners)
