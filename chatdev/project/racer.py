"""One candidate of a race: it writes its program, has it tried, and knows how it stands."""

from dataclasses import replace

from chatdev.errors import ChatDevError
from chatdev.journal.events import Standing, TestResult
from chatdev.models.errors import ModelError
from chatdev.models.types import Progress
from chatdev.product import compare, probes, rows
from chatdev.product.sessions import Call
from chatdev.project import acceptance, trials, verdict, writing
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_WHY = 200
_SEVERAL = 4
"""Further examples of the tester that a candidate must meet, all of them, to need no other that agrees."""


class Racer:
    """One candidate: what came of it so far. ``tokens`` have come of the call that is under way."""

    def __init__(self, meeting: Meeting, number: int) -> None:
        self.number, self.agree = number, meeting.phase.agree
        self.solved: State | None = None
        self.error: ChatDevError | Exhausted | None = None
        self.holds = self.begins = False
        self.outputs: tuple[str, ...] = ()
        self.met_further: tuple[bool, ...] = ()
        self.printed: dict[str, str] = {}
        """What it prints for each row of the tester that it fails and ends well on, by the row's id."""
        self._asking = True
        self._tokens = 0
        self._watcher = meeting.office.watcher
        office = replace(meeting.office, candidate=number, watcher=self._watch)
        self._meeting = Meeting(office, meeting.desk.at("candidate", number), meeting.phase, meeting.state)

    def _watch(self, role: str, progress: Progress) -> None:
        self._tokens = progress.tokens
        self._watcher(f"{role}, candidate {self.number}", progress)

    async def run(self) -> None:
        """Write, and try what was written. What keeps this candidate alone from its end is kept in ``error``."""
        try:
            written = await writing.code(self._meeting)
        except (ModelError, Exhausted, writing.NoProgram) as error:
            self.error = error
            return
        finally:
            self._asking = False
        office, desk, before = self._meeting.office, self._meeting.desk, self._meeting.state
        tested = bool(written.acceptance_tests)
        starting = not tested or (before.watched and not before.starts)
        if tested:
            written = await trials.test(office, desk.at("tests"), written)
        if starting:
            written = await trials.start(office, desk.at("start"), written)
        self.begins = written.starts or not starting
        passing = written.passing and self.begins and not _tells_little(written)
        if passing and (calls := _probes(written, self._meeting.phase.agree)):
            probed = await trials.probe(office, desk.at("probe"), written, calls)
            self.outputs, self.met_further = probed.outputs, probed.met
        self.holds, self.solved = passing, written
        self.printed = {result.id: compare.canonical(result.printed) for result in self.started if result.printed}

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.solved is not None or self.error is not None

    @property
    def slow(self) -> bool:
        """Whether it took too long for one of the other inputs."""
        return acceptance.TIMED_OUT in self.outputs

    def doubt(self, agreed: int, wanted: int) -> str:
        """Why the program is doubtful although all its tests pass: one of ``verdict.DOUBTS``, or empty. ``agreed`` of
        the ``wanted`` candidates print the same for other inputs. Empty also where no other inputs were tried."""
        met = self.met_further
        if not self.outputs or (not self.slow and len(met) >= _SEVERAL and all(met)):
            return ""
        if self.slow:
            return verdict.SLOW
        if agreed < wanted:
            return verdict.DISAGREE
        return verdict.UNSUPPORTED if met and not any(met) else ""

    def lack(self, settled: int) -> str:
        """Why the program is doubtful: it passes, or several candidates agree with it on, less than half of the
        tester's rows. ``settled`` counts the rows of the second kind. Empty if it is not doubtful."""
        rows_of_tester = [result for result in self.started if result.tier == "doubtful"]
        if 2 * (len(self.met("doubtful")) + settled) >= len(rows_of_tester):
            return ""
        return verdict.UNSUPPORTED if self.results else verdict.DISAGREE

    @property
    def passed(self) -> int:
        """Its acceptance tests that pass."""
        return sum(result.outcome == "passed" for result in self.results)

    def met(self, tier: str) -> frozenset[str]:
        """Its tests of this tier that pass; those that are programs were written by the tester, and so are doubtful."""
        return frozenset(
            result.id for result in self.results if result.outcome == "passed" and (result.tier or "doubtful") == tier
        )

    @property
    def results(self) -> tuple[TestResult, ...]:
        return self.solved.tests.results if self.solved and self.solved.tests and self.solved.tested else ()

    @property
    def started(self) -> tuple[TestResult, ...]:
        """The results, and those of the rows by which nothing is judged."""
        tests = self.solved.tests if self.solved and self.solved.tested else None
        return (*tests.results, *tests.open) if tests else ()

    @property
    def beyond_doubt(self) -> frozenset[str]:
        """The tester's rows with an output, if it meets half or more of them: such a tester knows the program."""
        written = frozenset(result.id for result in self.results if result.tier == "doubtful")
        return written if 2 * len(self.met("doubtful")) >= len(written) else frozenset()

    def standing(self, *, won: bool) -> Standing:
        """How it stands now, for the log."""
        if self.error is not None:
            error = self.error
            why = f"the limit of {error} was reached" if isinstance(error, Exhausted) else error.what
            return Standing(self.number, "failed", why=why[:_WHY])
        if self.solved is None:
            return Standing(self.number, "cancelled", calls=int(self._asking), tokens=self._tokens * self._asking)
        return Standing(self.number, "won" if won else "beaten", self.passed, len(self.results))


def _tells_little(state: State) -> bool:
    """Whether nothing failed since little was judged: most rows have no output, or a package is missing that the task
    does not name, so that another may do without."""
    ran = state.tests if state.tested else None
    if ran is None:
        return False
    missing = {result.needs.casefold() for result in ran.results if result.needs}
    return len(ran.open) > len(ran.results) or any(each not in state.task.casefold() for each in missing)


def _probes(state: State, agree: int) -> tuple[Call, ...]:
    """The inputs with which candidates are compared: none where only one is wanted, or a tester wrote tests, too."""
    if agree < 2 or state.way is None:
        return ()
    found = acceptance.rows_of(state.product, state.way.command)
    others = [path for path in state.acceptance_tests if path != rows.FILE]
    if others or any(row.tier != "trusted" for row in found):
        return ()
    return probes.of_rows(found)
