"""A small workload, and a bench of playback servers, for tests."""

from collections.abc import Sequence
from pathlib import Path

from chatdev.models.types import Message
from chatdev.ops.bench.contenders import Contender, contender
from chatdev.ops.bench.figures import EndpointFigures, LevelFigures, Spread
from chatdev.ops.bench.measure import BenchPlan
from chatdev.ops.bench.report import BenchReport
from chatdev.ops.bench.run import bench
from chatdev.ops.bench.workload import RecordedCall, Workload
from chatdev.playback.recording import Entry, Recording
from chatdev.receipt import Usage
from chatdev.settings import Settings, load

QUESTION, TASK = "Question.1/Programmer.1/ask.1", "greet the world"
SYSTEM = Message("system", f"You are a company.\n\n{TASK}\n\nBe brief.")
CALLS = (
    RecordedCall(QUESTION, (SYSTEM, Message("user", "What shall we do?")), 4),
    RecordedCall("Coding.1/Programmer.1/ask.1", (SYSTEM, Message("user", "Write the code.")), 12),
)
WORKLOAD = Workload('the run "Greeting"', TASK, CALLS)
RECORDING = Recording(
    model="tiny",
    window=4096,
    entries=(
        Entry(place=CALLS[0].place, text="We shall greet the world, and be done."),
        Entry(place=CALLS[1].place, text="print('hello, world, and a long goodbye, too, as it is polite to say')"),
    ),
)
ONCE = BenchPlan(levels=(1, 3), seconds=60, projects=1)


def settings(**variables: str) -> Settings:
    return load(variables, Path("/nonexistent"))


def named(text: str, **variables: str) -> Contender:
    """A contender that does not wait long between its tries."""
    return contender(text, settings(**variables), backoff=(0.01, 0.01))


async def benched(
    *whom: Contender, plan: BenchPlan = ONCE, workload: Workload = WORKLOAD
) -> tuple[BenchReport, list[str]]:
    """The report, and what would be paid or was told on the way."""
    progress: list[str] = []

    def agree(costs: Sequence[str]) -> None:
        progress.extend(costs)

    return await bench(whom, workload, plan, show=progress.append, agree=agree), progress


def level(in_flight: int = 1, speed: float = 100.0, wait: Spread | None = Spread(0.05, 0.2)) -> LevelFigures:  # noqa: B008
    return LevelFigures(
        in_flight=in_flight,
        seconds=60.0,
        answered=9,
        failed=1,
        cut=1,
        retries=2,
        first_token=wait,
        gap=wait,
        tokens_per_second=speed,
        projects_per_hour=12.0,
        projects_finished=1,
        prefix_hits=0.25,
        prefix_source="usage",
        busy=0.1,
    )


def endpoint(name: str = "tiny at localhost:8001", *levels: LevelFigures) -> EndpointFigures:
    return EndpointFigures(
        name=name,
        base_url="http://localhost:8001/v1",
        measured=True,
        model="tiny",
        own=True,
        models=2,
        window=4096,
        window_assumed=True,
        levels=levels or (level(), level(8, 700.0)),
        answered=0.9,
        cost_per_project=0.0,
        cost_per_1k_tokens=0.0,
        notes=("In 3 calls: without top_p.",),
    )


DEAD = EndpointFigures("10.0.0.9:8000", "http://10.0.0.9:8000/v1", measured=False, why="No model server | answered.")


def report(*endpoints: EndpointFigures) -> BenchReport:
    return BenchReport(
        date="2026-11-25",
        version="0.1.0",
        workload=WORKLOAD.title,
        calls=2,
        tokens=16,
        plan=BenchPlan(levels=(1, 8)),
        endpoints=endpoints,
        notes=("An answer may be as long as the recorded one.",),
    )


USAGE = Usage(1_000_000, 100_000)
