"""Runs all acceptance tests of a product: those that are programs, and the rows that are judged from outside."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from chatdev.journal.effects import digest
from chatdev.journal.events import ProductProbed, TestResult, TestsRan
from chatdev.product import compare, rows
from chatdev.product.rows import Row, Step
from chatdev.product.sessions import BuildFailed, Call, Ended, Starved, run_sessions
from chatdev.project import busy
from chatdev.project.output import normalise
from chatdev.project.packages import distribution
from chatdev.sandbox.port import Sandbox

SECONDS = 10.0
"""What one start of the product may take."""
TIMED_OUT = "time"
_WHY = 1500
_PRINTED = 4000
_TITLE = 120
_TELLING = frozenset((rows.FILE, "REPORT.md"))
"""Files that say what a product should print: its rows, and our report on those that failed."""
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.M)


class Launch(NamedTuple):
    """How a product is started from outside: the words of its program, the steps that build it, and what those need.
    ``lacks`` is a tool that is not here."""

    program: tuple[str, ...]
    build: tuple[tuple[str, ...], ...] = ()
    environment: Mapping[str, str] = {}
    reads: tuple[str, ...] = ()
    lacks: str = ""


class Way(Protocol):
    """What of a language's way of running products is used here; see ``languages.Product``."""

    @property
    def command(self) -> str:
        """How a user starts it, as text."""
        ...

    async def run_tests(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", seconds: float = 60
    ) -> TestsRan:
        """Run every test that is a program."""
        ...

    def launch(self, files: Mapping[str, bytes]) -> Launch:
        """How the product is started, built and fed from outside."""
        ...


def rows_of(files: Mapping[str, bytes], command: str) -> tuple[Row, ...]:
    """The rows that are judged, in their order; none where the product has no file of them."""
    return tuple(row for row in _started_rows(files, command) if row.tier != "open")


def _started_rows(files: Mapping[str, bytes], command: str) -> tuple[Row, ...]:
    text = files.get(rows.FILE, b"").decode(errors="replace")
    return tuple(row for row in rows.parse(text, command).rows if row.tier != "dropped")


def visible(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that a product may find where it runs: all but its rows, and the report on them."""
    return {path: content for path, content in files.items() if rows.FILE not in files or path not in _TELLING}


_WHOSE: dict[rows.Tier, str] = {"trusted": "task", "agreed": "drafts"}


def names(found: Sequence[Row]) -> list[str]:
    """The tests' ids of these rows: where they stand, whose they are, and what they do. A row keeps its id when others
    come or go."""
    titles = [f"{rows.FILE}::{_WHOSE.get(row.tier, 'tester')}: {row.title}" for row in found]
    met = Counter(titles)
    return [
        title if met[title] == 1 and len(title) <= _TITLE else f"{title[:_TITLE]} [{_mark(row)}]"
        for title, row in zip(titles, found, strict=True)
    ]


def _mark(row: Row) -> str:
    return digest(msgspec.json.encode(row.steps))[:4]


async def run(
    way: Way, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", version: str = ""
) -> TestsRan:
    """Run them all on one version of a product: one event with a result for each. Raises SandboxError."""
    shown = visible(files)
    ran = await way.run_tests(sandbox, shown, place=place, digest=version)
    found = _started_rows(files, way.command)
    if not found or ran.lacks:
        return ran
    launch = way.launch(shown)
    if launch.lacks:
        return replace(ran, lacks=launch.lacks)
    try:
        ended = await _started(sandbox, shown, launch, [[step.call for step in row.steps] for row in found])
    except Starved as error:
        return busy.tests(place, version, error.outcome)
    except BuildFailed as error:
        why = normalise(f"it cannot be built: {error}")[-_WHY:]
        results = tuple(
            TestResult(name, "error", why, tier=_tier(row)) for name, row in zip(names(found), found, strict=True)
        )
    else:
        results = tuple(_results(found, ended, files))
    judged = tuple(result for result, row in zip(results, found, strict=True) if row.tier != "open")
    unjudged = tuple(result for result, row in zip(results, found, strict=True) if row.tier == "open")
    return replace(ran, results=(*ran.results, *judged), open=unjudged)


async def probe(
    way: Way,
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    calls: Sequence[Call],
    further: Sequence[Row],
    *,
    place: str,
    version: str,
) -> ProductProbed:
    """Start a version of the product with these inputs, and those of the further rows: what came of each, by a short
    name, and which of the rows hold. Raises SandboxError."""
    shown = visible(files)
    launch = way.launch(shown)
    empty = ProductProbed(place, version, ("",) * (len(calls) + len(further)), (False,) * len(further))
    if launch.lacks:
        return empty
    try:
        sessions = [[call] for call in calls] + [[step.call for step in row.steps] for row in further]
        ended = await _started(sandbox, shown, launch, sessions)
    except (BuildFailed, Starved):
        return empty
    seconds = round(sum(one.seconds for each in ended for one in each), 3)
    met = tuple(
        not compare.fault(replace(row, tier="trusted"), came)  # to the letter
        for row, came in zip(further, ended[len(calls) :], strict=True)
    )
    return replace(empty, outputs=tuple(_output(came[-1]) for came in ended), met=met, seconds=seconds)


async def _started(
    sandbox: Sandbox, files: Mapping[str, bytes], launch: Launch, sessions: Sequence[Sequence[Call]]
) -> tuple[tuple[Ended, ...], ...]:
    return await run_sessions(
        sandbox,
        files,
        launch.program,
        sessions,
        build=launch.build,
        seconds=SECONDS,
        environment=launch.environment,
        reads=launch.reads,
    )


def _output(one: Ended) -> str:
    """A short name for an output; empty if the product broke, or gave none, and ``TIMED_OUT`` if it took too long."""
    if one.stopped == "time":
        return TIMED_OUT
    broke = one.stopped or (one.status and "Traceback (most recent call last)" in one.stderr)
    told = compare.canonical(one.stdout)
    return "" if broke or not told else digest(told)


def _results(
    found: Sequence[Row], ended: Sequence[tuple[Ended, ...]], files: Mapping[str, bytes]
) -> Iterator[TestResult]:
    same = compare.unmoved(found, ended)
    for name, row, came in zip(names(found), found, ended, strict=True):
        why = compare.fault(row, came) or (same if row.tier in ("doubtful", "open") else "")
        if not why and row.tier != "open":
            yield TestResult(name, "passed", tier=_tier(row))
            continue
        missing = next((each[1] for one in came if (each := _MISSING.search(one.stderr))), "")
        text = normalise("\n".join(filter(None, [why, *_tracebacks(came)])), limit=_WHY)
        printed = "" if same else _printed(row, came)
        yield TestResult(name, "failed", text, distribution(missing, files), _tier(row), printed)


def _tier(row: Row) -> Literal["trusted", "agreed", "doubtful"]:
    return row.tier if row.tier in ("trusted", "agreed") else "doubtful"


def _printed(row: Row, came: Sequence[Ended]) -> str:
    """What a row of a model might expect instead: the output, if every start ended well and there is one."""
    if row.tier not in ("doubtful", "open") or any(one.stopped or one.status for one in came):
        return ""
    told = came[-1].stdout.strip("\n")
    return told if told.strip() and len(told) <= _PRINTED else ""


def _tracebacks(came: Sequence[Ended]) -> Iterator[str]:
    """The end of the first traceback, which says where in the product it went wrong."""
    for one in came:
        if "Traceback (most recent call last)" in one.stderr:
            yield one.stderr.strip()[-_WHY:]
            return


def changing(
    files: Mapping[str, str], command: str, dropped: Collection[str], settled: Mapping[str, str]
) -> dict[str, str]:
    """The file of rows, by path, with the ``dropped`` ones among those that are not judged, and with another output for
    the ``settled`` ones; both by their ids."""
    read = rows.parse(files.get(rows.FILE, ""), command).rows
    started = [row for row in read if row.tier != "dropped"]
    named = dict(zip(started, names(started), strict=True))

    def changed(row: Row) -> Row:
        name = named.get(row, "")
        if name in settled:
            last = Step(row.steps[-1].call, settled[name])
            return Row((*row.steps[:-1], last), "agreed")
        return replace(row, tier="dropped") if name in dropped else row

    return {rows.FILE: rows.render(map(changed, read), command)}


def baseline(found: Sequence[Row], *, place: str = "", version: str = "") -> TestsRan:
    """How rows end on a product that prints nothing and ends at once: what passes there proves nothing.

    Nothing is run for it: what such a product does is known.
    """
    nothing = Ended(0)
    results = tuple(
        TestResult(name, "failed" if compare.fault(row, (nothing,) * len(row.steps)) else "passed", tier=_tier(row))
        for name, row in zip(names(found), found, strict=True)
    )
    return TestsRan(place, version, results)


def baseline_of(files: Mapping[str, bytes], command: str) -> TestsRan:
    """The baseline of the rows by which a product is judged."""
    return baseline(rows_of(files, command))


async def run_without(way: Way, sandbox: Sandbox, tests: Mapping[str, bytes]) -> TestsRan:
    """How the tests end without the product: its tests that are programs are run, and its rows reckoned."""
    ran = await way.run_tests(sandbox, visible(tests))
    return replace(ran, results=(*ran.results, *baseline_of(tests, way.command).results))
