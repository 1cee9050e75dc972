"""Products in languages other than Python: built, started and tested by the command lines of a recipe."""

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from chatdev.journal.events import ProductStarted, TestResult, TestsRan
from chatdev.language_table import Toolchain
from chatdev.product import busy, sockets, start_rules
from chatdev.product.acceptance import Launch
from chatdev.product.output import normalise
from chatdev.product.python_run import USER
from chatdev.product.test_output import READERS, ReportedTests
from chatdev.sandbox import fair, patience
from chatdev.sandbox.port import Job, Limits, Outcome, Sandbox, SandboxError
from chatdev.sandbox.view import installation

# Our runner, and the sandbox's clock that it uses.
_RUNNER, _CLOCK = str(Path(__file__).parent), str(Path(fair.__file__).parent)
_BEGIN = "import sys; sys.path += sys.argv[1:3]; from runner import steps; steps.main(sys.argv[3])"
_BUILD_SECONDS = 60.0
_WHY = 1500


class _Ran(msgspec.Struct, frozen=True):
    """How building and running went: ``failed`` is the number of the step that failed; ``status`` is the program's;
    ``changed`` is a file of the tests that it changed."""

    outcome: Outcome
    output: str = ""
    failed: int | None = None
    status: int | None = None
    alive: bool = False
    changed: str = ""


class ToolchainProduct:
    """Runs products by a recipe; a ``languages.Product``."""

    def __init__(self, recipe: Toolchain, stated: Mapping[str, object] = MappingProxyType({})) -> None:
        self._recipe, self.stated = recipe, stated
        self.main, self.test_file, self.how = recipe.main, recipe.test_file, recipe.how
        self.arguments = recipe.arguments
        self.command = " ".join(recipe.start) or f"a browser that opens {recipe.main}"

    async def run_tests(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", seconds: float = 60
    ) -> TestsRan:
        """Build the product and its tests, and run the tests in one separate process; see ``languages.Product``."""
        recipe = self._recipe
        tests = [path for path in sorted(files) if _below_tests(path) and _suffix(path) in self._test_suffixes()]
        if not tests:
            return TestsRan(place, digest, ())
        if lacks := self._lacking():
            return TestsRan(place, digest, (), lacks=lacks)
        product = self._steps(recipe.build, files)
        steps = product + self._steps(recipe.build_tests, files)
        ran = await self._run(sandbox, files, steps, self._words(recipe.test, files), seconds, tests=tests)
        if ran.outcome.stopped == "starved":
            return busy.tests(place, digest, ran.outcome)
        printed = normalise(ran.outcome.stderr)
        empty = TestsRan(place, digest, (), output=printed, seconds=round(ran.outcome.seconds, 3))
        if ran.failed is not None and ran.failed < len(product):
            return replace(empty, results=(TestResult("build", "error", printed[-_WHY:]),))
        if ran.failed is not None:
            return replace(empty, trouble=f"the tests cannot be built: {printed[-_WHY:]}")
        heard = READERS[recipe.reads](ran.output)
        trouble = _trouble(ran, heard)
        results = tuple(self._results(tests, files, ran, heard, trouble))
        return sockets.of_tests(sandbox, replace(empty, results=results, trouble=trouble))

    async def start(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", watch: float = 5.0
    ) -> ProductStarted:
        """Build it and start it as its user does; see ``languages.Product``.

        A crash is a signal, a build that failed, a limit other than time, the message that the language's runtime
        prints for an uncaught error with a status other than 0, or a status that ``start_rules`` finds a failure.
        """
        recipe = self._recipe
        if recipe.main not in files:
            return ProductStarted(place, digest, "missing", why=f"there is no {recipe.main} to start")
        if not recipe.start:
            return _opened(ProductStarted(place, digest, "exited", exit_status=0), recipe.main, files)
        if lacks := self._lacking():
            return ProductStarted(place, digest, "missing", why=f"there is no {lacks} here", lacks=lacks)
        steps = self._steps(recipe.build, files)
        ran = await self._run(sandbox, files, steps, self._words(recipe.start, files), watch)
        if ran.outcome.stopped == "starved":
            return busy.start(place, digest, ran.outcome)
        printed = normalise(f"{ran.output}\n{ran.outcome.stderr}".strip())
        started = ProductStarted(
            place, digest, "exited", exit_status=ran.status, output=printed, seconds=round(ran.outcome.seconds, 3)
        )
        if ran.alive:
            return replace(started, how="alive", exit_status=None)
        if why := self._crash(ran, printed):
            return sockets.of_start(sandbox, replace(started, how="crashed", why=why[-_WHY:]))
        return started

    def _crash(self, ran: _Ran, printed: str) -> str:
        if ran.failed is not None:
            return f"it does not build:\n{printed}"
        if how := _ending(ran):
            return f"{how}\n{printed}".strip()
        last = normalise(ran.outcome.stderr).strip().splitlines()[-3:]
        if ran.status and self._recipe.crash and any(re.search(self._recipe.crash, line) for line in last):
            return normalise(ran.outcome.stderr)
        return start_rules.failure(ran.status, printed)

    def launch(self, files: Mapping[str, bytes]) -> Launch:
        """See ``languages.Product``."""
        recipe = self._recipe
        return Launch(
            tuple(self._words(recipe.start, files)),
            tuple(tuple(step) for step in self._steps(recipe.build, files)),
            self._environment(),
            tuple(self._reads()),
            self._lacking(),
        )

    def _lacking(self) -> str:
        return next((tool for tool in self._recipe.tools if shutil.which(tool) is None), "")

    def _test_suffixes(self) -> set[str]:
        return {_suffix(self.test_file)}

    def _steps(self, steps: tuple[tuple[str, ...], ...], files: Mapping[str, bytes]) -> list[list[str]]:
        """The steps whose files exist: the empty project is not built, so that its tests can run and fail."""
        there = [step for step in steps if all(self._expand(word, files) for word in step if self._names(word))]
        return [self._words(step, files) for step in there]

    def _names(self, word: str) -> bool:
        return word in ("{sources}", "{tests}", self._recipe.main)

    def _words(self, words: tuple[str, ...], files: Mapping[str, bytes]) -> list[str]:
        return [part for word in words for part in self._expand(word, files)]

    def _expand(self, word: str, files: Mapping[str, bytes]) -> list[str]:
        if word == "{sources}":
            found = [path for path in sorted(files) if not _below_tests(path)]
            return [_word(path) for path in found if _suffix(path) in self._recipe.suffixes]
        if word == "{tests}":
            found = [path for path in sorted(files) if _below_tests(path)]
            return [_word(path) for path in found if _suffix(path) in self._test_suffixes()]
        return [] if word == self._recipe.main and word not in files else [word]

    async def _run(
        self,
        sandbox: Sandbox,
        files: Mapping[str, bytes],
        steps: list[list[str]],
        program: list[str],
        seconds: float,
        *,
        tests: Sequence[str] = (),
    ) -> _Ran:
        """Run the program, with its input held open if it is not one that runs ``tests``."""
        nonce = os.urandom(16).hex()
        # The standard library also encodes names of files that are not UTF-8.
        order = json.dumps({"steps": steps, "program": program, "seconds": seconds, "tests": tests})
        job = Job(
            argv=(sys.executable, "-I", "-S", "-B", "-c", _BEGIN, _RUNNER, _CLOCK, order),
            files=files,
            stdin=nonce.encode(),
            hold_stdin=not tests,
            limits=Limits(seconds=seconds + (_BUILD_SECONDS if steps else 5.0)),
            environment=self._environment(),
            reads=tuple(self._reads()),
        )
        return _read(await patience.run(sandbox, job, lambda outcome: _is_conclusive(outcome, nonce)), nonce)

    def _environment(self) -> dict[str, str]:
        """A path with the tools' folders, since a tool may be installed anywhere, and the variables that they need."""
        found = [str(Path(path).parent) for tool in self._recipe.tools if (path := shutil.which(tool))]
        path = os.pathsep.join(dict.fromkeys([*found, "/usr/local/bin", "/usr/bin", "/bin"]))
        stated = {name: str(Path(value).expanduser()) for name, value in self._recipe.environment.items()}
        return {"PATH": path, **USER, **stated}

    def _reads(self) -> Iterator[str]:
        """The folders of our driver, of the installed tools, and those that the recipe names for them."""
        yield from (_RUNNER, _CLOCK)
        for tool in self._recipe.tools:
            if path := shutil.which(tool):
                yield from installation(path)
        yield from (
            value for value in self._environment().values() if value.startswith("/") and os.pathsep not in value
        )

    def _results(
        self, tests: list[str], files: Mapping[str, bytes], ran: _Ran, heard: ReportedTests, trouble: str
    ) -> Iterator[TestResult]:
        """A result for each test that was reported or announced; a report on a whole file explains the latter."""
        owner = tests[0] if len(tests) == 1 else "tests"
        counts: Counter[str] = Counter()
        why = trouble or "it did not run"
        for test in heard.tests:
            if any(PurePosixPath(test.name).match(path) for path in tests):  # node's report on a file without tests
                why = f"{test.why}\n{ran.output}".strip() if test.outcome == "failed" else why
                continue
            counts[test.name] += 1
            name = f"{owner}::{test.name}" + (f" ({counts[test.name]})" if counts[test.name] > 1 else "")
            yield TestResult(name, test.outcome, "" if test.outcome == "passed" else normalise(test.why, limit=_WHY))
        leaves = {name.rpartition(" > ")[2] for name in counts}
        for name in dict.fromkeys(self._announced(tests, files)):
            if name not in leaves:
                yield TestResult(f"{owner}::{name}", "no result", normalise(why, limit=_WHY))

    def _announced(self, tests: list[str], files: Mapping[str, bytes]) -> Iterator[str]:
        for path in tests if self._recipe.announces else []:
            text = files[path].decode(errors="replace")
            yield from (found["name"] for found in re.finditer(self._recipe.announces, text, re.M))


def _word(path: str) -> str:
    """The path as a word that a compiler cannot read as an option, or as a file of options (``@FILE``)."""
    return f"./{path}" if path.startswith(("@", "-")) else path


def _suffix(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _below_tests(path: str) -> bool:
    return "tests" in path.casefold().split("/")[:-1]


def _read(outcome: Outcome, nonce: str) -> _Ran:
    """The driver's reports, and what the program printed between ``ready`` and the end."""
    before, *parts = re.split(rf"\n?^{nonce} (.*)\n", outcome.stdout, flags=re.M)
    reports = [report.split() for report in parts[::2]]
    output = parts[1] if len(parts) > 1 and parts[0] == "ready" else ""
    if not reports and not outcome.stopped:
        raise SandboxError(
            f"The product's driver did not start in the sandbox (exit status {outcome.exit_status}).",
            tried=[*outcome.stderr.splitlines()[-1:], *before.splitlines()[-1:]],
            do="Free some memory and processor time on this machine, and try again.",
        )
    last = reports[-1] if reports else ["none"]
    changed = next((report.removeprefix("changed ") for report in parts[::2] if report.startswith("changed ")), "")
    match last:
        case ["failed", step, _]:
            return _Ran(outcome, failed=int(step))
        case ["ended", status]:
            return _Ran(outcome, output, status=int(status), changed=changed)
        case ["alive"]:
            return _Ran(outcome, output, alive=True)
    return _Ran(outcome, output)


def _is_conclusive(outcome: Outcome, nonce: str) -> bool:
    """Whether a run says something about the product: not if its tests hit their time limits on a busy machine."""
    return not busy.late(outcome, outcome.stdout) or _read(outcome, nonce).status == 0


def _ending(ran: _Ran) -> str:
    """How the program ended if it did not exit by itself."""
    if ran.outcome.stopped:
        return f"stopped by the {ran.outcome.stopped} limit"
    if ran.alive:
        return "stopped by the time limit"
    if ran.status is None:
        return "ended without a report"
    return f"killed by signal {-ran.status}" if ran.status < 0 else ""


def _trouble(ran: _Ran, heard: ReportedTests) -> str:
    if how := _ending(ran):
        return how
    if ran.changed:
        return f"the product changed its tests: {ran.changed}"
    failing = any(test.outcome == "failed" for test in heard.tests)
    if ran.status and not failing:
        return f"left with exit status {ran.status} although no test failed"
    return heard.trouble


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.local: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "link": "href"}.get(tag)
        value = dict(attrs).get(wanted, "") if wanted else ""
        if value and not re.match(r"[a-zA-Z][\w+.-]*:|//|#", value):
            self.local.append(re.split(r"[?#]", value)[0].removeprefix("./").removeprefix("/"))


def _opened(started: ProductStarted, main: str, files: Mapping[str, bytes]) -> ProductStarted:
    """A page is not run, since there is no browser: it must load only files of its own folder that exist."""
    page = _References()
    page.feed(files[main].decode(errors="replace"))
    if absent := [path for path in page.local if path not in files]:
        return replace(started, how="crashed", exit_status=None, why=f"{main} loads {absent[0]}, which is not there")
    return started
