"""Phases that write files: what an answer holds is checked piece by piece, and only what lacks is asked for again."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.errors import ChatDevError
from chatdev.journal.events import TestsRan
from chatdev.project import alignment, sufficient, verdict
from chatdev.project.branches import settle, side_by_side
from chatdev.project.languages import MANIFEST, Product
from chatdev.project.meeting import Meeting
from chatdev.project.prompts import reason_text
from chatdev.project.spending import Exhausted
from chatdev.project.state import State, merge
from chatdev.project.workspace import PathRefused, is_test, safe_path

_ALIGNED = 100
"""Numbers up to this are those of notes on the names in answers."""


class NoProgram(ChatDevError):
    """The company could not write any program; there is nothing to go on with."""


class _Gathering:
    """Files as they come in over the answers of one phase, and what is still missing.

    ``wanted`` is what the phase is about, by which a block without a name is told; ``asked`` what alone was asked for.
    ``known`` are the files that there are of the kind that is written now.
    """

    def __init__(
        self,
        meeting: Meeting,
        refusal: Callable[[str], str],
        wanted: tuple[str, ...] = (),
        known: Mapping[str, str] | None = None,
        asked: tuple[str, ...] = (),
    ) -> None:
        self.meeting = meeting
        self.refusal = refusal
        self.wanted = wanted
        self.known = known or {}
        self.asked = asked
        self.noted: set[str] = set()
        self.copied = 0
        self.files: dict[str, str] = {}
        self.partial: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.answers = 0
        self.finished = False

    @property
    def expected(self) -> tuple[str, ...]:
        """The files that the last question asked for, or the one that the phase is about."""
        return self.asked or self.wanted

    def read(self, answer: Answer) -> replies.Reading:
        """The files of an answer, read as an answer to what was asked."""
        return replies.read(
            answer.text,
            finish_reason=answer.finish_reason,
            expected=self.expected,
            known={**self.known, **self.files},
            examples=self.meeting.office.prompts.examples,
        )

    def take(self, answer: Answer) -> Lack | None:
        """Keep the whole files of an answer; what it lacks."""
        self.answers += 1
        reading = self.read(answer)
        if replies.finished(answer.text) and not reading.files:
            self.finished = True
            return None
        cut: list[str] = []
        elided: list[replies.File] = []
        refused: dict[str, str] = {}
        for file in reading.files:
            path, why = self._path(file.path)
            if why:
                refused[path] = why
                continue
            self._note(file, path)
            if file.elided:
                elided.append(file)
            elif file.cut:
                cut.append(path)
                self.partial[path] = file.text
            else:
                self.files[path] = file.text
                self.partial.pop(path, None)
        for path, why in refused.items():
            if path not in self.refused:
                self.refused[path] = why
                self.meeting.refuse(len(self.refused), path, why)
        self._note_copies(reading)
        return self._lack(cut, elided, refused, reading)

    def _note(self, file: replies.File, path: str) -> None:
        """Tell once of each file that its name was not plain."""
        plain = file.path.replace("\\", "/").removeprefix("./")
        said = file.said or (plain if plain != path and plain.casefold() == path.casefold() else "")
        if path in self.noted or not (said or "name guessed" in file.doubts):
            return
        self.noted.add(path)
        if said:
            self.meeting.note("aligned", len(self.noted), f"{said} was taken for {path}")
        else:
            self.meeting.note("guessed", len(self.noted), f"the answer does not say that a block is {path}")

    def _note_copies(self, reading: replies.Reading) -> None:
        """Tell once that an answer repeats an example, and not the next speaker, who would copy it, too."""
        copies = [skipped for skipped in reading.skipped if skipped.why == replies.COPIED]
        if copies and not self.copied:
            self.copied = 1
            self.meeting.note("refused", self.copied, f"{copies[0].path or 'a block'}: {replies.COPIED}")

    def lack(self, request: str, told: str, /, **values: str) -> Lack:
        """What is said to the role, by the company's named request, and to the reader of the report."""
        return Lack(self.meeting.office.prompts.request(request, **values), told)

    def _path(self, name: str) -> tuple[str, str]:
        taken = [*self.meeting.state.files, *self.files]
        alike = [other for other in taken if other != name and other.casefold() == name.removeprefix("./").casefold()]
        try:
            path = safe_path(alike[0] if len(alike) == 1 else name, taken)
        except PathRefused as error:
            return name, error.why
        return path, self.refusal(path)

    def _lack(
        self, cut: list[str], elided: list[replies.File], refused: Mapping[str, str], reading: replies.Reading
    ) -> Lack | None:
        self.asked = tuple(cut or [file.path for file in elided]) or self.asked
        wanted = ", ".join(self.expected)
        if cut:
            paths = ", ".join(cut)
            return self.lack("cut", f"the answer broke off inside {paths}", paths=paths)
        if elided:
            paths = ", ".join(file.path for file in elided)
            return self.lack("elided", f"{paths} came with parts left out", paths=paths, why=elided[0].elided)
        if self.files:
            return None
        if refused:
            why = "; ".join(f"{path}: {reason}" for path, reason in refused.items())
            return self.lack("refused", f"nothing was acceptable ({why})", why=why, paths=wanted)
        part = next((each for each in reading.skipped if each.path in self.known and "part of" in each.why), None)
        if part:
            return self.lack("elided", f"{part.path} came in part", paths=part.path, why=part.why)
        return self.lack("no_files", "no file could be read out of the answer", paths=wanted)

    def close(self) -> dict[str, str]:
        """The files to write. One that only ever came cut is kept if there is none yet, and the report says so."""
        for number, (path, text) in enumerate(self.partial.items(), 1):
            if path in self.meeting.state.files or path in self.files:
                self.meeting.note("cut", number, f"{path} came cut each time; the whole version before it was kept")
            else:
                self.meeting.note("cut", number, f"{path} came cut each time and is kept as it came")
                self.files[path] = text
        return self.files

    @property
    def remarks(self) -> str:
        """What the next speaker is told of files that were not taken."""
        return "\n".join(f"- {path}: {why}" for path, why in self.refused.items())


def _not_a_test(path: str) -> str:
    if path.casefold() == MANIFEST:
        return "how the product is built and tested is stated by the company alone"
    return "the acceptance tests are written by the tester alone" if is_test(path) else ""


def _only_tests(path: str) -> str:
    return "" if is_test(path) else "only acceptance tests are written now; the program comes later"


async def _gather(meeting: Meeting, *asked: str) -> State:
    """The programmer's files. Only where nobody writes acceptance tests may tests be among them."""
    refusal = _not_a_test if meeting.office.company.tests else lambda path: ""
    gathering = _Gathering(meeting, refusal, _program(meeting.state), meeting.state.program, asked)

    async def read(answer: Answer) -> Lack | None:
        return gathering.take(answer)

    await meeting.insist(
        read,
        attempts=meeting.phase.attempts,
        enough=sufficient.file(lambda: gathering.asked, meeting.state.files),
    )
    state = meeting.write(gathering.close() if asked else _aligned(meeting, gathering.close()))
    return msgspec.structs.replace(state, remarks=gathering.remarks, finished=state.finished or gathering.finished)


def _aligned(meeting: Meeting, files: dict[str, str]) -> dict[str, str]:
    """The files under the names that were meant; the report hears of each other name."""
    state = meeting.state
    if not files or state.way is None:
        return files
    aligned = alignment.align(state.files, files, state.way.main, state.task)
    for number, note in enumerate(aligned.notes, 1):
        meeting.note("aligned", _ALIGNED + number, note)
    return aligned.files


def _program(state: State) -> tuple[str, ...]:
    """The file that a phase which writes the program is about: the only one that there is, else the main one."""
    if len(state.program) == 1:
        return tuple(state.program)
    return (state.way.main,) if state.way else ()


async def code(meeting: Meeting) -> State:
    """The programmer writes or changes the program. Raises NoProgram if there is none afterwards."""
    state = await _gather(meeting)
    if not state.program:
        raise NoProgram("No program was written: no file could be read out of any of the programmer's answers.")
    return state


async def complete(meeting: Meeting) -> State:
    """The programmer finishes every unfinished file, each in a talk of its own and all of them side by side; a file is
    given up after the phase's number of tries. The first one's talk stands at the phase's own place."""
    base = meeting.state
    paths = [path for path, _ in base.all_unfinished()]
    desks = [meeting.desk, *(meeting.desk.at("beside", number) for number in range(1, len(paths)))]
    meetings = [
        replace(meeting, desk=desk, state=base.on(path), said=[]) for desk, path in zip(desks, paths, strict=False)
    ]
    exhausted: list[Exhausted] = []

    async def attempt(each: Meeting, path: str) -> State:
        try:
            return await _complete(each, path)
        except Exhausted as error:
            exhausted.append(error)
            return each.state

    states = await side_by_side([attempt(each, path) for each, path in zip(meetings, paths, strict=True)])
    if exhausted and len(exhausted) == len(paths):
        raise exhausted[0]
    given_up = [state.given_up - each.state.given_up for state, each in zip(states, meetings, strict=True)]
    ended = [msgspec.structs.replace(state, given_up=base.given_up) for state in states]
    merged = merge(base, ended)
    settle(meeting.office.workspace, base, merged)
    return msgspec.structs.replace(merged, given_up=base.given_up.union(*given_up))


async def _complete(meeting: Meeting, path: str) -> State:
    state = await _gather(meeting, path)
    tries = {**state.tries, path: state.tries.get(path, 0) + 1}
    given_up = state.given_up
    if tries[path] >= meeting.phase.tries and state.unfinished is not None and state.unfinished[0] == path:
        # Numbers from 1 on are those of guessed names.
        meeting.note("guessed", 0, f"{path} is still unfinished ({state.unfinished[1]}) after {tries[path]} tries")
        given_up |= {path}
    return msgspec.structs.replace(state, tries=tries, given_up=given_up)


async def tests(meeting: Meeting) -> State:
    """The tester writes acceptance tests, which are run on the empty project at once and must fail there."""
    way = meeting.state.way
    if way is None:
        meeting.note("tests", 1, f"none were written: nobody here can run {meeting.state.language}")
        return meeting.state
    gathering = _Gathering(meeting, _only_tests, (way.test_file,), meeting.state.acceptance_tests)
    baseline = (await _insist_on_tests(meeting, gathering, way))[1]
    if not gathering.files:
        meeting.note("tests", 1, "no acceptance test was written; the product cannot be judged")
        return meeting.state
    return msgspec.structs.replace(meeting.write(gathering.close()), baseline=baseline)


async def amend(meeting: Meeting) -> State:
    """The tester may correct a test. The report tells the reason, and each test that is gone."""
    way = meeting.state.way
    if way is None:
        return meeting.state
    there = meeting.state.acceptance_tests
    gathering = _Gathering(meeting, _only_tests, tuple(there) if len(there) == 1 else (way.test_file,), there)
    answer, baseline = await _insist_on_tests(meeting, gathering, way)
    if not gathering.files or baseline is None or _proves_nothing(baseline):
        return meeting.state
    state = meeting.write(gathering.files)
    before_files = answer.text.partition("```")[0].split("\n")
    reason = next((line.strip() for line in before_files if line.strip() and line.strip() not in gathering.files), "")
    meeting.note("tests", 1, f"{', '.join(gathering.files)} was amended{': ' if reason else ''}{reason[:300]}")
    before = {result.id for result in meeting.state.baseline.results} if meeting.state.baseline else set()
    for number, gone in enumerate(sorted(before - {result.id for result in baseline.results}), 2):
        meeting.note("tests", number, f"{gone} is gone with the amendment")
    return msgspec.structs.replace(state, baseline=baseline)


async def _insist_on_tests(meeting: Meeting, gathering: _Gathering, way: Product) -> tuple[Answer, TestsRan | None]:
    """The last answer, and how the tests that were gathered ran on the empty project, where they must fail."""
    baseline: TestsRan | None = None
    others = meeting.state.acceptance_tests

    async def read(answer: Answer) -> Lack | None:
        nonlocal baseline
        if lack := gathering.take(answer):
            return lack
        if not gathering.files:  # the tester says that there is nothing to write
            return None
        files = {path: text.encode() for path, text in (others | gathering.files).items()}
        here = meeting.desk.at("baseline", gathering.answers)
        version = verdict.files_digest(files)
        ran = baseline = await here.perform(
            TestsRan,
            version,
            lambda: way.run_tests(meeting.office.sandbox, files, place=here.place, digest=version),
        )
        if ran.lacks:
            meeting.note("tests", gathering.answers, f"they were not tried: there is no {ran.lacks} here")
            return None
        if why := _untestable(ran):
            gathering.files.clear()
            return gathering.lack(
                "no_tests", f"the tests cannot be run: {why}", why=reason_text(why), paths=way.test_file
            )
        if _proves_nothing(ran):
            return gathering.lack("vacuous", "every test passes without a program", paths=way.test_file)
        return None

    return await meeting.insist(read), baseline


def _proves_nothing(baseline: TestsRan) -> bool:
    return all(result.outcome == "passed" for result in baseline.results)


def _untestable(ran: TestsRan) -> str:
    """Why these tests can judge no product at all; empty if they can."""
    if not ran.results:
        return ran.trouble or "no test was collected"
    broken = [result for result in ran.results if result.needs or "SyntaxError" in result.why]
    if len(broken) == len(ran.results):
        return f"needs {broken[0].needs}, which is not installed" if broken[0].needs else broken[0].why
    return ""
