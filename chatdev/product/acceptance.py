"""Runs all acceptance tests of a product: test programs, and rows that are compared outside the sandbox."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from chatdev.agents.filenames import is_test
from chatdev.journal.effects import digest
from chatdev.journal.events import ProductProbed, TestResult, TestsRan
from chatdev.product import busy, compare, rows
from chatdev.product.hollow import hollowed
from chatdev.product.output import normalise
from chatdev.product.packages import distribution
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import BuildFailed, Ended, Invocation, MachineTooBusy, run_sessions
from chatdev.sandbox.port import Sandbox

SECONDS = 10.0
"""Time limit for one start of the product."""
TIMED_OUT = "time"
_WHY = 1500
_PRINTED = 4000
_TITLE = 120
_TELLING = frozenset((rows.FILE, "REPORT.md"))
"""Files that reveal the expected output: the rows, and our report on failed rows."""
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.M)


class Launch(NamedTuple):
    """How to start a product: its command line, its build steps, and the environment and paths that they need.
    ``lacks`` is a tool that is not installed."""

    program: tuple[str, ...]
    build: tuple[tuple[str, ...], ...] = ()
    environment: Mapping[str, str] = {}
    reads: tuple[str, ...] = ()
    lacks: str = ""


class RunnableLanguage(Protocol):
    """The part of ``languages.Product`` that is used here."""

    @property
    def command(self) -> str:
        """The command that a user types to start it."""
        ...

    async def run_tests(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", seconds: float = 60
    ) -> TestsRan:
        """Run every test program."""
        ...

    def launch(self, files: Mapping[str, bytes]) -> Launch:
        """How to build and start the product with given calls."""
        ...


def rows_of(files: Mapping[str, bytes], command: str) -> tuple[Row, ...]:
    """The judged rows in order; none if the product has no rows file."""
    return tuple(row for row in started_rows(files, command) if row.tier != "open")


def started_rows(files: Mapping[str, bytes], command: str) -> tuple[Row, ...]:
    """The rows to run: the judged and the open ones."""
    text = files.get(rows.FILE, b"").decode(errors="replace")
    return tuple(row for row in rows.parse(text, command).rows if row.tier != "dropped")


def visible(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that a running product can see: all but its rows and the report on them."""
    return {path: content for path, content in files.items() if rows.FILE not in files or path not in _TELLING}


_WHOSE: dict[rows.Tier, str] = {"trusted": "task", "agreed": "drafts"}


def names(found: Sequence[Row]) -> list[str]:
    """The test ids of these rows: file, origin and title. A row keeps its id when other rows are added or removed."""
    titles = [f"{rows.FILE}::{_WHOSE.get(row.tier, 'tester')}: {row.title}" for row in found]
    counts = Counter(titles)
    return [
        title if counts[title] == 1 and len(title) <= _TITLE else f"{title[:_TITLE]} [{_mark(row)}]"
        for title, row in zip(titles, found, strict=True)
    ]


def _mark(row: Row) -> str:
    return digest(msgspec.json.encode(row.steps))[:4]


async def run(
    language: RunnableLanguage, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", version: str = ""
) -> TestsRan:
    """Run all tests on one version of a product: one event with a result for each. Raises SandboxError."""
    shown = visible(files)
    ran = await language.run_tests(sandbox, shown, place=place, digest=version)
    found = started_rows(files, language.command)
    if not found or ran.lacks:
        return ran
    launch = language.launch(shown)
    if launch.lacks:
        return replace(ran, lacks=launch.lacks)
    try:
        ended = await _started(sandbox, shown, launch, [[step.call for step in row.steps] for row in found])
    except MachineTooBusy as error:
        return busy.tests(place, version, error.outcome)
    except BuildFailed as error:
        why = normalise(f"it cannot be built: {error}")[-_WHY:]
        results = tuple(
            TestResult(name, "error", why, tier=_tier(row), broke=True)
            for name, row in zip(names(found), found, strict=True)
        )
    else:
        results = tuple(_results(found, ended, files))
    judged = tuple(result for result, row in zip(results, found, strict=True) if row.tier != "open")
    unjudged = tuple(result for result, row in zip(results, found, strict=True) if row.tier == "open")
    return replace(ran, results=(*ran.results, *judged), open=unjudged)


async def probe(
    language: RunnableLanguage,
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    calls: Sequence[Invocation],
    further: Sequence[Row],
    *,
    place: str,
    version: str,
) -> ProductProbed:
    """Start a version of the product with these calls and those of the further rows: a digest of each output, and
    which of the rows hold. Raises SandboxError."""
    shown = visible(files)
    launch = language.launch(shown)
    empty = ProductProbed(place, version, ("",) * (len(calls) + len(further)), (False,) * len(further))
    if launch.lacks:
        return empty
    try:
        sessions = [[call] for call in calls] + [[step.call for step in row.steps] for row in further]
        ended = await _started(sandbox, shown, launch, sessions)
    except (BuildFailed, MachineTooBusy):
        return empty
    seconds = round(sum(one.seconds for each in ended for one in each), 3)
    passes = tuple(
        not compare.fault(replace(row, tier="trusted"), came)  # exact match
        for row, came in zip(further, ended[len(calls) :], strict=True)
    )
    return replace(empty, outputs=tuple(_output(came[-1]) for came in ended), met=passes, seconds=seconds)


async def _started(
    sandbox: Sandbox, files: Mapping[str, bytes], launch: Launch, sessions: Sequence[Sequence[Invocation]]
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
    """A digest of an output; empty if the product broke or printed nothing, ``TIMED_OUT`` if it took too long."""
    if one.stopped == "time":
        return TIMED_OUT
    broke = one.stopped or (one.status and "Traceback (most recent call last)" in one.stderr)
    printed = compare.canonical(one.stdout)
    return "" if broke or not printed else digest(printed)


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
        yield TestResult(name, "failed", text, distribution(missing, files), _tier(row), printed, _broke(row, came))


def _broke(row: Row, came: Sequence[Ended]) -> bool:
    """Whether a start ended with an error status that the row does not expect, and wrote to standard error."""
    return any(
        bool(one.status) and one.status != step.status and bool(one.stderr.strip())
        for step, one in zip(row.steps, came, strict=True)
    )


def breakage(files: Mapping[str, bytes], command: str, ran: TestsRan) -> str:
    """How the product broke on a row of the task: the row as a session, and the error. Empty if it broke on none.

    Rows of the tester do not count: the row is as likely to be wrong as the product.
    """
    found = dict(zip(names(each := started_rows(files, command)), each, strict=True))
    broken = (result for result in ran.results if result.broke and not result.needs and result.tier == "trusted")
    if (first := next(broken, None)) is None:
        return ""
    session = "" if first.outcome == "error" else rows.session(found[first.id], command)
    return "\n\n".join(filter(None, [session, first.why]))


def _tier(row: Row) -> Literal["trusted", "agreed", "doubtful"]:
    return row.tier if row.tier in ("trusted", "agreed") else "doubtful"


def _printed(row: Row, came: Sequence[Ended]) -> str:
    """What a row of a model might expect instead: the output, if there is one and every start succeeded."""
    if row.tier not in ("doubtful", "open") or any(one.stopped or one.status for one in came):
        return ""
    printed = came[-1].stdout.strip("\n")
    return printed if printed.strip() and len(printed) <= _PRINTED else ""


def _tracebacks(came: Sequence[Ended]) -> Iterator[str]:
    """The end of the first traceback: it shows where the product failed."""
    for one in came:
        if "Traceback (most recent call last)" in one.stderr:
            yield one.stderr.strip()[-_WHY:]
            return


def changing(
    files: Mapping[str, str], command: str, dropped: Collection[str], settled: Mapping[str, str]
) -> dict[str, str]:
    """The rows file, by path: ``dropped`` rows are no longer judged, ``settled`` rows get another output; by id."""
    read = rows.parse(files.get(rows.FILE, ""), command).rows
    started = [row for row in read if row.tier != "dropped"]
    named = dict(zip(started, names(started), strict=True))

    def changed(row: Row) -> Row:
        name = named.get(row, "")
        if name in settled:
            last = RowStep(row.steps[-1].call, settled[name])
            return Row((*row.steps[:-1], last), "agreed")
        return replace(row, tier="dropped") if name in dropped else row

    return {rows.FILE: rows.render(map(changed, read), command)}


def baseline(found: Sequence[Row], *, place: str = "", version: str = "") -> TestsRan:
    """Row results for a product that prints nothing and exits immediately: a row that passes there proves nothing.

    Nothing is run: what such a product does is known.
    """
    nothing = Ended(0)
    results = tuple(
        TestResult(name, "failed" if compare.fault(row, (nothing,) * len(row.steps)) else "passed", tier=_tier(row))
        for name, row in zip(names(found), found, strict=True)
    )
    return TestsRan(place, version, results)


def baseline_of(files: Mapping[str, bytes], command: str) -> TestsRan:
    """The baseline of the judged rows."""
    return baseline(rows_of(files, command))


async def run_hollow(
    language: RunnableLanguage, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", version: str = ""
) -> TestsRan:
    """The results of Python's test programs on the hollow product: what passes there proves nothing. No results for
    other languages, and none for rows: a product that prints nothing is their baseline. Raises SandboxError."""
    if not has_hollow(language, files):
        return TestsRan(place, version, ())
    return await language.run_tests(sandbox, visible(hollowed(files)), place=place, digest=version)


def has_hollow(language: RunnableLanguage, files: Mapping[str, bytes]) -> bool:
    """Whether there are tests that can be run on a hollow product: programs in Python."""
    return language.command.startswith("python3 ") and any(is_test(path) and path.endswith(".py") for path in files)


async def run_without(language: RunnableLanguage, sandbox: Sandbox, tests: Mapping[str, bytes]) -> TestsRan:
    """The test results without the product: test programs are run, row results are computed."""
    ran = await language.run_tests(sandbox, visible(tests))
    return replace(ran, results=(*ran.results, *baseline_of(tests, language.command).results))
