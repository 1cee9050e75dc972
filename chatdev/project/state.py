"""What the company knows so far: one frozen value. A phase takes it and returns the next one."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from chatdev.agents import replies
from chatdev.agents.filenames import belongs_to_tests, is_test
from chatdev.journal.effects import digest
from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.product import languages, plumbing, verdict
from chatdev.product.rows import Row

REQUIREMENTS, MANUAL = "requirements.txt", "manual.md"
DOCUMENTS = frozenset({REQUIREMENTS, MANUAL, languages.MANIFEST})
"""Files that describe the product and do not change what it does."""

MADE = ("document", "chart", "image", "table")
"""Kinds of product that are judged by the file that they make. Only Python's runner reports new files."""

_unfinished = lru_cache(maxsize=256)(replies.unfinished)  # needed before each step; parses the file


@lru_cache(maxsize=64)
def _version(files: tuple[tuple[str, str], ...]) -> str:
    return digest(*(part for path, text in files for part in (path, text)))


class Best(msgspec.Struct, frozen=True):
    """The best version so far: the files of its program, its results, and the ``evidence`` in its favour."""

    program: Mapping[str, str]
    evidence: tuple[bool, int, int, bool]
    tests: TestsRan | None
    started: ProductStarted | None
    digest: str
    tests_digest: str


class State(msgspec.Struct, frozen=True):
    """A run between two phases. Mappings are never changed in place.

    ``files`` are the product's texts by path, including tests and documents; ``values`` are conclusions by the name
    that their phase sets. ``baseline`` are the tests' results without the product; ``tests`` and ``started`` are its
    last results, valid for the version that their digest names. ``stopped``: a limit of the run was reached, and no
    more calls are made. ``given_up`` are unfinished files that are not worked on any more; ``remarks`` are for the next
    speaker: what was not accepted. ``best`` is the version to return to. ``unconfirmed`` names a version that passes
    the task's few examples and yet is doubtful; ``doubt`` gives the reason: one of ``verdict.DOUBTS``. ``further`` are
    examples of the tester that are not tests, since the task itself has enough.
    """

    task: str
    name: str
    files: Mapping[str, str] = {}
    values: Mapping[str, str] = {}
    baseline: TestsRan | None = None
    tests: TestsRan | None = None
    started: ProductStarted | None = None
    finished: bool = False
    stopped: bool = False
    given_up: frozenset[str] = frozenset()
    tries: Mapping[str, int] = {}
    remarks: str = ""
    best: Best | None = None
    unconfirmed: str = ""
    doubt: str = ""
    further: tuple[Row, ...] = ()

    @property
    def acceptance_tests(self) -> dict[str, str]:
        """The tests by path, with their helpers and data."""
        return {path: text for path, text in self.files.items() if belongs_to_tests(path)}

    @property
    def has_tests(self) -> bool:
        """Whether there is a test that can be run, not only helpers or data."""
        return any(map(is_test, self.files))

    @property
    def program(self) -> dict[str, str]:
        """The files that are neither tests nor documents."""
        return {path: text for path, text in self.files.items() if not belongs_to_tests(path) and path not in DOCUMENTS}

    @property
    def product(self) -> dict[str, bytes]:
        """What is run: program and tests, as bytes."""
        return {path: text.encode() for path, text in self.files.items() if path not in DOCUMENTS}

    @property
    def digest(self) -> str:
        """Names this version of program and tests."""
        return _version(tuple(sorted((path, text) for path, text in self.files.items() if path not in DOCUMENTS)))

    @property
    def tests_digest(self) -> str:
        """Names this version of the tests alone."""
        return _version(tuple(sorted(self.acceptance_tests.items())))

    @property
    def language(self) -> str:
        """The chosen language; Python until one is chosen."""
        return self.values.get("language") or languages.PYTHON

    @property
    def makes(self) -> str:
        """The kind of file that the product must make, if any: a document, a chart, an image, a table."""
        modality = self.values.get("modality", "")
        return modality if modality in MADE and self.language == languages.PYTHON else ""

    @property
    def language_support(self) -> languages.Product | None:
        """How products in the language are started and tested; None if ChatDev cannot run the language."""
        return languages.find(self.language)

    @property
    def judged_by_rows(self) -> bool:
        """Whether programs in the language are started from a command line, so that rows can test them."""
        language = self.language_support
        return language is not None and bool(language.launch({language.main: b""}).program)

    @property
    def tested(self) -> bool:
        """Whether the tests' results are those of this version."""
        return self.tests is not None and self.tests.digest == self.digest

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """The tests that did not pass when they were last run, each with the line that names its error."""
        results = self.tests.results if self.tests else ()
        return tuple((result.id, result.cause) for result in results if result.outcome not in ("passed", "skipped"))

    @property
    def faulty_tests(self) -> tuple[plumbing.Fault, ...]:
        """The tests of this version that fail by their own fault: the failure never reached the program."""
        if self.tests is None or not self.tested or self.language != languages.PYTHON:
            return ()
        return plumbing.faults(self.tests, self.acceptance_tests, self.program, self.task)

    @property
    def sound(self) -> bool:
        """Whether no test of this version is known to be faulty itself; they must have been run."""
        return not (self.runnable and self.has_tests) or (self.tested and not self.faulty_tests)

    @property
    def watched(self) -> bool:
        """Whether this version was started."""
        return self.started is not None and self.started.digest == self.digest

    @property
    def runnable(self) -> bool:
        """Whether there is a program in a language that ChatDev can start."""
        return self.language_support is not None and bool(self.program)

    @property
    def passing(self) -> bool:
        """Whether the tests of this version leave a programmer nothing to fix.

        They all passed or were skipped; or there are none; or something is missing that no change of code can provide.
        """
        if not self.runnable or not self.has_tests:
            return True
        if self.tests is None or not self.tested:
            return False
        results = self.tests.results
        if self.tests.lacks or any(result.needs for result in results):
            return True
        return not self.tests.trouble and all(result.outcome in ("passed", "skipped") for result in results)

    @property
    def starts(self) -> bool:
        """Whether this version starts and makes the required file, or lacks what no change of code can provide."""
        if not self.runnable:
            return True
        started = self.started if self.watched else None
        if started is None:
            return False
        if started.needs or started.lacks:
            return True
        tests = self.tests if self.tested else None
        return verdict.has_started(started, tests) and bool(started.made or not self.makes)

    @property
    def healthy(self) -> bool:
        """Whether this version passes and starts."""
        return self.passing and self.starts

    @property
    def unfinished(self) -> tuple[str, str] | None:
        """The first file that is not finished and not given up, and why."""
        return next(self.all_unfinished(), None)

    def all_unfinished(self) -> Iterator[tuple[str, str]]:
        """Every such file, in the order of the program."""
        for path, text in self.program.items():
            if path not in self.given_up and (why := _unfinished(path, text)):
                yield path, why

    def on(self, path: str) -> "State":
        """This state for work on one unfinished file alone: the others are given up."""
        others = frozenset(other for other, _ in self.all_unfinished()) - {path}
        return msgspec.structs.replace(self, given_up=self.given_up | others)

    def holds(self, condition: str) -> bool:
        """Whether a loop's ``until`` is reached; an empty condition never is."""
        match condition:
            case "finished":
                return self.finished
            case "complete":
                return self.unfinished is None
            case "passing":
                return self.passing
            case "starts":
                return self.starts
            case "healthy":
                return self.healthy
            case "sound tests":
                return self.sound
        return False

    def having(self, files: Mapping[str, str]) -> "State":
        """This state with new contents for some files."""
        return msgspec.structs.replace(self, files={**self.files, **files})

    def without(self, paths: Collection[str]) -> "State":
        """This state without some files."""
        return msgspec.structs.replace(
            self, files={path: text for path, text in self.files.items() if path not in paths}
        )

    def with_value(self, name: str, value: str) -> "State":
        """This state with one more conclusion."""
        return msgspec.structs.replace(self, values={**self.values, name: value})


def merge(base: State, branches: Sequence[State]) -> State:
    """Merge the results of branches that began at ``base``, in their order: where two differ, the later one wins."""
    files, values, tries = dict(base.files), dict(base.values), dict(base.tries)
    merged = base
    for branch in branches:
        files.update({path: text for path, text in branch.files.items() if base.files.get(path) != text})
        values.update({name: value for name, value in branch.values.items() if base.values.get(name) != value})
        tries.update({path: count for path, count in branch.tries.items() if base.tries.get(path) != count})
        changed = {
            name: value
            for name in (
                "baseline",
                "tests",
                "started",
                "finished",
                "stopped",
                "remarks",
                "best",
                "unconfirmed",
                "doubt",
                "further",
            )
            if (value := getattr(branch, name)) != getattr(base, name)
        }
        merged = msgspec.structs.replace(merged, **changed, given_up=merged.given_up | branch.given_up)
    return msgspec.structs.replace(merged, files=files, values=values, tries=tries)
