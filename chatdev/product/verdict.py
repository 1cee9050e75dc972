"""Judges a product by its test results and its start, never by a word in a text."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from chatdev.agents.filenames import belongs_to_tests
from chatdev.errors import UserError
from chatdev.journal.effects import digest
from chatdev.journal.events import ProductStarted, TestResult, TestsRan
from chatdev.language_table import Table
from chatdev.product import acceptance, languages
from chatdev.product.busy import BUSY
from chatdev.product.python_start import DISPLAY
from chatdev.product.sockets import SEMAPHORE, SOCKET
from chatdev.product.start_rules import is_refusal
from chatdev.sandbox.port import Sandbox

_NOT_THE_PRODUCT = {"__pycache__", "node_modules", "venv"}
MOST_BYTES = 64 << 20
_SHOWN = 3
_NO_TESTS = "No test was found. Python's are unittest files named test_*.py or *_test.py, others are in tests/."
DISAGREE, SLOW, UNSUPPORTED = "the drafts disagree", "slow", "the tester disagrees"
DOUBTS = {
    DISAGREE: "too few of the drafts give the same outputs for the same inputs",
    SLOW: "it takes too long for larger inputs",
    UNSUPPORTED: "most examples that the tester wrote expect another output",
}
"""Why a product that passes its tests, or has none, is still doubtful."""
NO_TESTS = "not run (no tests)"
STARTS = "starts (not tested)"
"""The best verdict that a company without tests can reach."""


class Verdict(msgspec.Struct, frozen=True):
    """``passed``, ``failed (7 of 9)`` (passed, of how many; with a remark if that is not all), ``not run (why)``, or
    ``unconfirmed (why)`` with one of ``DOUBTS``, if its tests do not prove enough.

    For a company that writes no tests: ``starts (not tested)``, ``does not start`` or ``not run (why)``.

    ``why`` is one line for a person. ``vacuous`` are ids of tests that pass without the product, and so prove nothing.
    ``version`` is the digest of the judged files, if it is known.
    """

    verdict: str
    why: str = ""
    vacuous: tuple[str, ...] = ()
    version: str = ""


def judge(
    baseline: TestsRan | None,
    tests: TestsRan | None,
    started: ProductStarted | None,
    makes: str = "",
    hollow: TestsRan | None = None,
) -> Verdict:
    """Judge a product by its tests on the empty project, its tests, and its start; ``hollow`` are its tests on the
    hollow product, if they were run.

    It has passed if it starts, each collected test passed in a run that can be trusted, and at least one of them fails
    both without the product and on the hollow one. A test that is skipped on the hollow product, too, or fails there as
    it expects, is left out unless there is no other. A product that ``makes`` a document or the like must have written
    such a file, too.
    """
    without = {each.id for ran in (baseline, hollow) if ran for each in ran.results if each.outcome == "passed"}
    tests = _without_excused(tests, hollow)
    results = tests.results if tests else ()
    vacuous = tuple(result.id for result in results if result.outcome == "passed" and result.id in without)
    state, why = _state(baseline, tests, started, len(vacuous))
    if state == "passed" and makes and started and not started.made:
        state = f"failed ({len(results)} of {len(results)}, makes no {makes})"
        why = f"All tests pass, but the program wrote no {makes} file when it was started."
    return Verdict(state, why, vacuous)


def _without_excused(tests: TestsRan | None, hollow: TestsRan | None) -> TestsRan | None:
    """The tests without those whose skip the product did not cause: its hollow version has the same. All, if no other
    is left."""
    excused = {each.id for each in hollow.results if each.outcome == "skipped"} if hollow else set()
    results = tests.results if tests else ()
    counted = tuple(each for each in results if each.outcome != "skipped" or each.id not in excused)
    return msgspec.structs.replace(tests, results=counted) if tests and counted else tests


def has_started(started: ProductStarted, tests: TestsRan | None) -> bool:
    """Whether a product starts. If it refused to start without arguments or input, a row that passes shows that it
    starts when it is used as intended."""
    if started.how in ("exited", "alive"):
        return True
    rows = tests.results if tests else ()
    return is_refusal(started.why) and any(result.tier and result.outcome == "passed" for result in rows)


def unconfirmed(judged: Verdict, doubt: str) -> Verdict:
    """The verdict on a product that passes its tests, or has none that prove anything, and is doubtful for one of
    ``DOUBTS``."""
    but = f"{judged.why} But {DOUBTS[doubt]}" if judged.verdict == "passed" else f"It starts. But {DOUBTS[doubt]}"
    why = f"{but}, so its tests do not show whether it is right. Add examples to the task, or try the product yourself."
    return msgspec.structs.replace(judged, verdict=f"unconfirmed ({doubt})", why=why)


def judge_start(started: ProductStarted | None) -> Verdict:
    """Judge a product of a company that writes no acceptance tests: by its start alone."""
    if needs := _needs(None, started):
        return Verdict(f"not run (needs {', '.join(needs)})", f"Not installed here. Try: pip install {' '.join(needs)}")
    if started is None:
        return Verdict("not run (not started)", "The product was not started.")
    if started.lacks:
        return Verdict(_not_run_without(started.lacks), f"It could not be started. Missing: {started.lacks}.")
    if started.how in ("crashed", "missing"):
        return Verdict("does not start", f"the start: {_last_line(started.why)}")
    return Verdict(STARTS, "This company writes no acceptance tests, so it is only known that the product starts.")


def _state(
    baseline: TestsRan | None, tests: TestsRan | None, started: ProductStarted | None, vacuous: int
) -> tuple[str, str]:
    if needs := _needs(tests, started):
        return f"not run (needs {', '.join(needs)})", f"Not installed here. Try: pip install {' '.join(needs)}"
    if lacks := tests.lacks if tests else "":
        if lacks == SEMAPHORE:
            return _not_run_without(lacks), "The sandbox has no shared memory here; see: chatdev sandbox check."
        if lacks == SOCKET:
            return _not_run_without(lacks), "The sandbox has no network of its own here; see: chatdev sandbox check."
        if lacks == BUSY:
            return _not_run_without(lacks), "It could not be judged. Free some processor time, then test it again."
        return _not_run_without(lacks), f"Nothing was run because {lacks} is missing. Install it, then test again."
    if tests is None or not tests.results:
        return NO_TESTS, (tests.trouble if tests else "") or _NO_TESTS
    outcomes = [result.outcome for result in tests.results]
    passed, total = outcomes.count("passed"), len(outcomes)
    broken = started is not None and not started.lacks and not has_started(started, tests)
    remarks = [f"{passed} of {total}", *filter(None, [tests.trouble, "does not start" if broken else ""])]
    if len(remarks) > 1 or not set(outcomes) <= {"passed", "skipped"}:
        return f"failed ({', '.join(remarks)})", "; ".join(_failures(tests, started if broken else None))
    if passed < total:
        skipped = "all tests skipped" if not passed else f"{total - passed} of {total} tests skipped"
        return f"not run ({skipped})", "; ".join(_failures(tests, None))
    if baseline is None or not baseline.results:
        return "not run (tests not tried without the product)", "A test counts only if it fails without the product."
    if vacuous == total:
        return "not run (every test passes without the product)", "Tests that need no product say nothing about it."
    if started is None:
        return "not run (not started)", f"All {total} tests pass, but the product was not started."
    if started.lacks:
        return _not_run_without(started.lacks), f"All {total} tests pass, but it could not be started."
    telling = total - vacuous if vacuous else "all"
    whose = _whose(tests.results)
    return "passed", f"All {total} tests pass{whose}, {telling} of them only with the product, and it starts."


def _whose(results: Sequence[TestResult]) -> str:
    """How many tests are examples from the task, and how many were written by a model or agreed on by drafts; empty if
    no test is a row."""
    if not any(result.tier for result in results):
        return ""
    trusted, agreed = (sum(result.tier == tier for result in results) for tier in ("trusted", "agreed"))
    drafts = f", {agreed} as several drafts agree" if agreed else ""
    return f" ({trusted} from the task, {len(results) - trusted - agreed} from the tester{drafts})"


def _not_run_without(what: str) -> str:
    if what in (SOCKET, SEMAPHORE):
        return f"not run (needs a {what})"
    if what == BUSY:
        return "not run (machine too busy)"
    return f"not run (no {what})" if what == DISPLAY else f"not run (no {what} here)"


def _needs(tests: TestsRan | None, started: ProductStarted | None) -> list[str]:
    named = {result.needs for result in tests.results} if tests else set()
    return sorted((named | {started.needs if started else ""}) - {""})


def _failures(tests: TestsRan, broken: ProductStarted | None) -> Iterator[str]:
    """What went wrong: with the start, with the run as a whole, and in the first tests that failed by themselves."""
    if broken:
        yield f"the start: {_last_line(broken.why)}"
    if tests.trouble:
        yield f"the tests' run: {tests.trouble}"
    untold = {"passed", "no result"} if tests.trouble else {"passed"}
    others = [result for result in tests.results if result.outcome not in untold]
    for result in others[:_SHOWN]:
        yield f"{result.id}: {result.cause[:200] or result.outcome}"
    if len(others) > _SHOWN:
        yield f"and {len(others) - _SHOWN} more"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:200]


def without_product(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The tests and what belongs to them: the empty project, on which the tests must fail."""
    return {path: content for path, content in files.items() if belongs_to_tests(path)}


def files_digest(files: Mapping[str, bytes]) -> str:
    """A short name for a version of the files: their paths and contents, in any order."""
    return digest(*(part for path in sorted(files) for part in (path, files[path])))


class FolderVerdict(msgspec.Struct, frozen=True):
    """A folder's verdict with its evidence."""

    verdict: str
    why: str
    vacuous: tuple[str, ...]
    tests: TestsRan
    started: ProductStarted
    commands: Mapping[str, object] = {}
    """The command lines of the product's own manifest, by key. Its author chose them; they run in the sandbox only."""

    def as_dict(self) -> dict[str, object]:
        """``{"verdict": …, "why": …, "tests": [{"id", "outcome", "why", "needs"}], "vacuous": […], "start": {…},
        "commands": {…}}``."""
        tests = [
            {"id": one.id, "outcome": one.outcome, "why": one.why, "needs": one.needs} for one in self.tests.results
        ]
        start = {"how": self.started.how, "exit_status": self.started.exit_status, "why": self.started.why}
        return {
            "verdict": self.verdict,
            "why": self.why,
            "tests": tests,
            "vacuous": list(self.vacuous),
            "start": start,
            "commands": dict(self.commands),
        }

    def text(self) -> str:
        """The same for a terminal: a line for each test, with the reason for a failure below it."""
        lines = [f"{self.verdict}: {' '.join(self.why.split())}" if self.why else self.verdict]
        lines += [
            f"  product.toml: {key} = {msgspec.json.encode(words).decode()}" for key, words in self.commands.items()
        ]
        for one in self.tests.results:
            hollow = "  (passes without the product too)" if one.id in self.vacuous else ""
            lines.append(f"  {one.outcome:<9} {' '.join(one.id.split())}{hollow}")
            lines += [f"            {line}" for line in one.why.splitlines()]
        status = f" with status {self.started.exit_status}" if self.started.how == "exited" else ""
        lines.append(f"  start     {self.started.how}{status}")
        lines += [f"            {line}" for line in self.started.why.splitlines()]
        return "\n".join(lines)


async def judge_folder(sandbox: Sandbox, folder: Path, python: str = "", table: Table | None = None) -> FolderVerdict:
    """The verdict on the product in a folder; only a copy of it is run. Raises UserError and SandboxError.

    The folder's manifest says how it is run, else the language guessed from its files; ``python`` is another
    interpreter, ``table`` the languages besides Python if not those of ``languages.toml``.
    """
    files = read_folder(folder)
    product = languages.of_folder(files, python, table)
    version = files_digest(files)
    baseline, hollow, tests, started = await asyncio.gather(
        acceptance.run_without(product, sandbox, without_product(files)),
        acceptance.run_hollow(product, sandbox, files),
        acceptance.run(product, sandbox, files, version=version),
        product.start(sandbox, acceptance.visible(files), digest=version),
    )
    found = judge(baseline, tests, started, hollow=hollow)
    return FolderVerdict(found.verdict, found.why, found.vacuous, tests, started, product.stated)


def read_folder(folder: Path) -> dict[str, bytes]:
    """A product's files by relative path, at most 64 MB, without hidden folders, environments, caches and links.

    Raises UserError if the folder cannot be read or holds more.
    """
    files: dict[str, bytes] = {}
    room = MOST_BYTES
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.", do="Name the folder of a product, or a run.")
    try:
        for place, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_THE_PRODUCT]
            for path in (Path(place, name) for name in sorted(names)):
                if path.is_file() and not path.is_symlink():
                    room -= path.stat().st_size
                    if room < 0:
                        raise UserError(f"{folder} holds more than 64 MB.", do="Name the product's own folder.")
                    files[path.relative_to(folder).as_posix()] = path.read_bytes()
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read ({error.strerror}).") from error
    return files
