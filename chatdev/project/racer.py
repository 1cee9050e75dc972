"""One candidate of a race: it writes a program, has it tested, and reports how it stands."""

from dataclasses import replace

from chatdev.errors import ChatDevError
from chatdev.journal import places
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import CandidateResult, TestResult
from chatdev.models.errors import ContentFiltered, ModelError, PromptCut, WindowTooSmall
from chatdev.models.types import Progress
from chatdev.product import acceptance, compare, probes, rows, verdict
from chatdev.product.sessions import Invocation
from chatdev.project import checks, evidence, snippet, writing
from chatdev.project.context import PhaseContext
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_WHY = 200
_SEVERAL = 4
"""From this many further examples of the tester on, a candidate that passes all of them needs no agreement."""


class Racer:
    """One candidate and its results so far. ``_tokens`` were received in the current call."""

    def __init__(self, context: PhaseContext, number: int, *, last: bool) -> None:
        self.number, self.agree = number, context.phase.agree
        self.solved: State | None = None
        self.error: ChatDevError | Exhausted | None = None
        self.holds = self.begins = False
        self.outputs: tuple[str, ...] = ()
        self.further_passed: tuple[bool, ...] = ()
        self.printed: dict[str, str] = {}
        """What it prints for each row of the tester that it fails without breaking, by the row's id."""
        self._asking = True
        self._tokens = 0
        self._watcher = context.run.watcher
        plain = context.phase.plain and last and _has_examples(context.state)
        run = replace(context.run, candidate=number, plain=plain, watcher=self._watch)
        self._context = PhaseContext(run, context.scope.at(places.CANDIDATE, number), context.phase, context.state)

    def _watch(self, role: str, progress: Progress) -> None:
        self._tokens = progress.tokens
        self._watcher(f"{role}, candidate {self.number}", progress)

    async def run(self) -> None:
        """Write the program, test it, and repair what breaks. An error that ends this candidate alone is kept in
        ``error``."""
        run, scope = self._context.run, self._context.scope
        try:
            write = snippet.write if run.plain else writing.code
            written = await self._tried(scope, await write(self._context))
            written = await self._repaired(written)
        except (ModelError, Exhausted, writing.NoProgram) as error:
            self.error = error
            return
        finally:
            self._asking = False
        self.begins = written.starts or not self._starting(written)
        passing = written.passing and self.begins and not _proves_little(written)
        if passing and (calls := _probes(written, self._context.phase.agree)):
            probed = await checks.probe(run, scope.at(places.PROBE), written, calls)
            self.outputs, self.further_passed = probed.outputs, probed.met
        self.holds, self.solved = passing, written
        self.printed = {result.id: compare.canonical(result.printed) for result in self.started if result.printed}

    def _starting(self, written: State) -> bool:
        """Whether a start counts, in addition to the tests or instead of them."""
        before = self._context.state
        return not written.has_tests or (before.watched and not before.starts)

    async def _tried(self, scope: JournalScope, written: State) -> State:
        self._asking = False
        run = self._context.run
        if written.has_tests:
            written = await checks.test(run, scope.at(places.TESTS), written)
        if self._starting(written):
            written = await checks.start(run, scope.at(places.START), written)
        return written

    async def _repaired(self, written: State) -> State:
        """The program after as many repairs as the phase allows. A repair is kept if its evidence is better.

        Only the first candidate is repaired: it is the likeliest program, and is repaired at the same temperature. For
        the others, a further draft costs as much as a repair and passes more often.
        """
        if self.number > 1:
            return written
        for number in range(1, self._context.phase.repairs + 1):
            if not (why := _breakage(written)):
                break
            self._asking = True
            try:
                again = await writing.repair(self._context, written, number, why)
            except (WindowTooSmall, PromptCut, ContentFiltered, Exhausted):
                break
            if again.digest == written.digest:
                break
            again = await self._tried(self._context.scope.at(places.REPAIR, number), again)
            written = max(written, again, key=evidence.of)
        return written

    @property
    def ended(self) -> bool:
        """Whether it has a program or has failed."""
        return self.solved is not None or self.error is not None

    @property
    def slow(self) -> bool:
        """Whether it timed out on one of the other inputs."""
        return acceptance.TIMED_OUT in self.outputs

    def doubt(self, agreed: int, wanted: int) -> str:
        """Why the program is doubtful although all its tests pass: one of ``verdict.DOUBTS``, or empty. ``agreed`` of
        the ``wanted`` candidates print the same for other inputs. Empty also if no other inputs were tried."""
        further = self.further_passed
        if not self.outputs or (not self.slow and len(further) >= _SEVERAL and all(further)):
            return ""
        if self.slow:
            return verdict.SLOW
        if agreed < wanted:
            return verdict.DISAGREE
        return verdict.UNSUPPORTED if further and not any(further) else ""

    def lack(self, settled: int) -> str:
        """Why the program is doubtful: it passes, or agrees with several candidates on, fewer than half of the tester's
        rows. ``settled`` counts the rows of the second kind. Empty if it is not doubtful."""
        rows_of_tester = [result for result in self.started if result.tier == "doubtful"]
        if 2 * (len(self.passed_of("doubtful")) + settled) >= len(rows_of_tester):
            return ""
        return verdict.UNSUPPORTED if self.results else verdict.DISAGREE

    @property
    def passed(self) -> int:
        """How many acceptance tests it passes."""
        return sum(result.outcome == "passed" for result in self.results)

    def passed_of(self, tier: str) -> frozenset[str]:
        """Its tests of this tier that pass. Those that are programs come from the tester, so they are doubtful."""
        return frozenset(
            result.id for result in self.results if result.outcome == "passed" and (result.tier or "doubtful") == tier
        )

    @property
    def results(self) -> tuple[TestResult, ...]:
        return self.solved.tests.results if self.solved and self.solved.tests and self.solved.tested else ()

    @property
    def started(self) -> tuple[TestResult, ...]:
        """The results, including those of rows that are not judged."""
        tests = self.solved.tests if self.solved and self.solved.tested else None
        return (*tests.results, *tests.open) if tests else ()

    @property
    def beyond_doubt(self) -> frozenset[str]:
        """The tester's rows with an output, if it passes half or more of them: such a tester knows the program."""
        written = frozenset(result.id for result in self.results if result.tier == "doubtful")
        return written if 2 * len(self.passed_of("doubtful")) >= len(written) else frozenset()

    def standing(self, *, won: bool) -> CandidateResult:
        """How it stands now, for the log."""
        if self.error is not None:
            error = self.error
            why = f"the limit of {error} was reached" if isinstance(error, Exhausted) else error.what
            return CandidateResult(self.number, "failed", why=why[:_WHY])
        if self.solved is None:
            return CandidateResult(
                self.number, "cancelled", calls=int(self._asking), tokens=self._tokens * self._asking
            )
        return CandidateResult(self.number, "won" if won else "beaten", self.passed, len(self.results))


def _has_examples(state: State) -> bool:
    """Whether the task states examples, so that it says by itself how the program is used."""
    return state.language_support is not None and any(
        row.tier == "trusted" for row in acceptance.rows_of(state.product, state.language_support.command)
    )


def _breakage(state: State) -> str:
    """How the program broke when its rows were run; empty if it did not, or if they were not run."""
    if state.language_support is None or state.tests is None or not state.tested:
        return ""
    return acceptance.breakage(state.product, state.language_support.command, state.tests)


def _proves_little(state: State) -> bool:
    """Whether a pass means little because little was judged: most rows have no output, or a package is missing that the
    task does not name, so that another program may not need it."""
    ran = state.tests if state.tested else None
    if ran is None:
        return False
    missing = {result.needs.casefold() for result in ran.results if result.needs}
    return len(ran.open) > len(ran.results) or any(each not in state.task.casefold() for each in missing)


def _probes(state: State, agree: int) -> tuple[Invocation, ...]:
    """The inputs for comparing candidates: none if only one is wanted, or if the tester wrote tests, too."""
    if agree < 2 or state.language_support is None:
        return ()
    found = acceptance.rows_of(state.product, state.language_support.command)
    others = [path for path in state.acceptance_tests if path != rows.FILE]
    if others or any(row.tier != "trusted" for row in found):
        return ()
    return probes.of_rows(found)
