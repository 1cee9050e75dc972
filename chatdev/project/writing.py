"""Phases that write files: an answer is checked piece by piece, and only missing pieces are requested again."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Missing, RoleAnswer
from chatdev.agents.filenames import belongs_to_tests
from chatdev.errors import ChatDevError
from chatdev.journal import places
from chatdev.journal.events import TestsRan
from chatdev.models.types import Message
from chatdev.product import verdict
from chatdev.product.languages import MANIFEST, Product
from chatdev.product.workspace import PathRefused, safe_path
from chatdev.project import alignment, early_stop
from chatdev.project.branches import settle, side_by_side
from chatdev.project.context import PhaseContext
from chatdev.project.prompt_texts import block, fenced, listing, reason_text
from chatdev.project.spending import Exhausted
from chatdev.project.state import State, merge

_ALIGNED = 100
"""Numbers up to this belong to notes on the names in answers."""


class NoProgram(ChatDevError):
    """The company could not write any program, so the run cannot go on."""


class _Gathering:
    """The files from the answers of one phase so far, and what is still missing.

    ``wanted`` are the files that the phase is about: a block without a name is one of them. ``requested`` are those
    that alone were requested. ``present`` are the existing files of the kind that is written now.
    """

    def __init__(
        self,
        context: PhaseContext,
        refusal: Callable[[str], str],
        wanted: tuple[str, ...] = (),
        present: Mapping[str, str] | None = None,
        requested: tuple[str, ...] = (),
    ) -> None:
        self.context = context
        self.refusal = refusal
        self.wanted = wanted
        self.present = present or {}
        self.requested = requested
        self.noted: set[str] = set()
        self.copied = 0
        self.files: dict[str, str] = {}
        self.partial: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.answers = 0
        self.finished = False

    @property
    def expected(self) -> tuple[str, ...]:
        """The files that the last question requested, or those that the phase is about."""
        return self.requested or self.wanted

    def read(self, answer: RoleAnswer) -> replies.ParsedReply:
        """The files of an answer, read as an answer to the last question."""
        return replies.read(
            answer.text,
            finish_reason=answer.finish_reason,
            expected=self.expected,
            present={**self.present, **self.files},
            examples=self.context.run.prompts.examples,
        )

    def keep(self, answer: RoleAnswer) -> Missing | None:
        """Keep the complete files of an answer; returns what it lacks."""
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
        for path in self._unapplied(reading):
            elided.append(replies.File(path, "", elided="a change that does not apply exactly"))
        for path, why in refused.items():
            if path not in self.refused:
                self.refused[path] = why
                self.context.refuse(len(self.refused), path, why)
        self._note_copies(reading)
        return self._lack(cut, elided, refused, reading)

    def _unapplied(self, reading: replies.ParsedReply) -> list[str]:
        """The files that an answer changes in a way that cannot be applied: each must be sent whole."""
        changed = dict.fromkeys(skipped.path for skipped in reading.skipped if skipped.change)
        paths = {path: self._path(path) for path in changed if path}
        return [path for path, why in paths.values() if not why and path in {**self.present, **self.files}]

    def _note(self, file: replies.File, path: str) -> None:
        """Note once per file that its name was missing or inexact, and once what was put right in it."""
        put_right = f"{path}: {file.put_right}"
        if file.put_right and put_right not in self.noted:
            self.noted.add(put_right)
            self.context.note("aligned", len(self.noted), put_right)
        plain = file.path.replace("\\", "/").removeprefix("./")
        name = file.name_in_answer or (plain if plain != path and plain.casefold() == path.casefold() else "")
        if path in self.noted or not (name or "name guessed" in file.doubts):
            return
        self.noted.add(path)
        if name:
            self.context.note("aligned", len(self.noted), f"{name} was taken for {path}")
        else:
            self.context.note("guessed", len(self.noted), f"the answer does not say that a block is {path}")

    def _note_copies(self, reading: replies.ParsedReply) -> None:
        """Note once that an answer repeats an example. The next speaker does not read it, so as not to copy it, too."""
        copies = [skipped for skipped in reading.skipped if skipped.why == replies.COPIED]
        if copies and not self.copied:
            self.copied = 1
            self.context.note("refused", self.copied, f"{copies[0].path or 'a block'}: {replies.COPIED}")

    def lack(self, request: str, reason: str, /, **values: str) -> Missing:
        """What an answer lacks: the company's named request to the role, and a line for the report."""
        return Missing(self.context.run.prompts.request(request, **values), reason)

    def _path(self, name: str) -> tuple[str, str]:
        taken = [*self.context.state.files, *self.files]
        alike = [other for other in taken if other != name and other.casefold() == name.removeprefix("./").casefold()]
        try:
            path = safe_path(alike[0] if len(alike) == 1 else name, taken)
        except PathRefused as error:
            return name, error.why
        return path, self.refusal(path)

    def _lack(
        self, cut: list[str], elided: list[replies.File], refused: Mapping[str, str], reading: replies.ParsedReply
    ) -> Missing | None:
        self.requested = tuple(cut or [file.path for file in elided]) or self.requested
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
        part = next((each for each in reading.skipped if each.path in self.present and "part of" in each.why), None)
        if part:
            return self.lack("elided", f"the answer has only a part of {part.path}", paths=part.path, why=part.why)
        return self.lack("no_files", "no file could be read out of the answer", paths=wanted)

    def close(self) -> dict[str, str]:
        """The files to write. One that was always cut off is kept if there is none yet, and the report says so."""
        for number, (path, text) in enumerate(self.partial.items(), 1):
            if path in self.context.state.files or path in self.files:
                self.context.note("cut", number, f"{path} was cut off each time; its last complete version was kept")
            else:
                self.context.note("cut", number, f"{path} was cut off each time and is kept incomplete")
                self.files[path] = text
        return self.files

    @property
    def remarks(self) -> str:
        """For the next speaker: the files that were refused, and why."""
        return "\n".join(f"- {path}: {why}" for path, why in self.refused.items())


def _not_a_test(path: str) -> str:
    if path.casefold() == MANIFEST:
        return "how the product is built and tested is stated by the company alone"
    return "the acceptance tests are written by the tester alone" if belongs_to_tests(path) else ""


def _only_tests(path: str) -> str:
    return "" if belongs_to_tests(path) else "only acceptance tests are written now; the program comes later"


async def _gather(context: PhaseContext, *requested: str) -> State:
    """The programmer's files. They may include tests only if the company writes no acceptance tests."""
    refusal = _not_a_test if context.run.company.tests else lambda path: ""
    gathering = _Gathering(context, refusal, _program(context.state), context.state.program, requested)

    async def read(answer: RoleAnswer) -> Missing | None:
        return gathering.keep(answer)

    await context.insist(
        read,
        attempts=context.phase.attempts,
        enough=early_stop.file(lambda: gathering.requested, context.state.files),
    )
    state = context.write(gathering.close() if requested else _aligned(context, gathering.close()))
    return msgspec.structs.replace(state, remarks=gathering.remarks, finished=state.finished or gathering.finished)


def _aligned(context: PhaseContext, files: dict[str, str]) -> dict[str, str]:
    """The files under the names that were meant; the report lists each renaming."""
    state = context.state
    if not files or state.language_support is None:
        return files
    aligned = alignment.align(state.files, files, state.language_support.main, state.task)
    for number, note in enumerate(aligned.notes, 1):
        context.note("aligned", _ALIGNED + number, note)
    return aligned.files


def _program(state: State) -> tuple[str, ...]:
    """The file that is meant in a phase that writes the program: the only existing one, else the main one."""
    if len(state.program) == 1:
        return tuple(state.program)
    return (state.language_support.main,) if state.language_support else ()


async def code(context: PhaseContext) -> State:
    """The programmer writes or changes the program. Raises NoProgram if there is none afterwards."""
    state = await _gather(context)
    if not state.program:
        raise NoProgram("No program was written: no file could be read out of any of the programmer's answers.")
    return state


async def repair(context: PhaseContext, written: State, number: int, why: str) -> State:
    """The programmer sees its program and how it failed, and writes the program again. If the answer holds no file, the
    state stays as it was."""
    role, program = context.phase.assistant, written.program
    here = replace(context, state=written, answers=[])
    gathering = _Gathering(here, _not_a_test, _program(written), program)
    request = context.run.prompts.request("broken", paths=", ".join(_program(written)), why=fenced(why))
    messages = (
        *context.participant(role).beginning,
        Message("user", context.question(role)),
        Message("assistant", block(*next(iter(program.items()))) if len(program) == 1 else listing(program)),
        Message("user", request),
    )
    gathering.keep(await here.ask(role, 1 + number, 1, messages))
    return here.write(_aligned(here, gathering.files))


async def complete(context: PhaseContext) -> State:
    """The programmer finishes every unfinished file, each in a separate conversation and all of them side by side. A
    file is given up after the phase's number of tries. The first conversation is logged at the phase's own place."""
    base = context.state
    paths = [path for path, _ in base.all_unfinished()]
    scopes = [context.scope, *(context.scope.at(places.BESIDE, number) for number in range(1, len(paths)))]
    meetings = [
        replace(context, scope=scope, state=base.on(path), answers=[])
        for scope, path in zip(scopes, paths, strict=False)
    ]
    exhausted: list[Exhausted] = []

    async def attempt(each: PhaseContext, path: str) -> State:
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
    settle(context.run.workspace, base, merged)
    return msgspec.structs.replace(merged, given_up=base.given_up.union(*given_up))


async def _complete(context: PhaseContext, path: str) -> State:
    state = await _gather(context, path)
    tries = {**state.tries, path: state.tries.get(path, 0) + 1}
    given_up = state.given_up
    if tries[path] >= context.phase.tries and state.unfinished is not None and state.unfinished[0] == path:
        # Numbers from 1 on are those of guessed names.
        context.note("guessed", 0, f"{path} is still unfinished ({state.unfinished[1]}) after {tries[path]} tries")
        given_up |= {path}
    return msgspec.structs.replace(state, tries=tries, given_up=given_up)


async def tests(context: PhaseContext) -> State:
    """The tester writes acceptance tests. They are run on the empty project immediately and must fail there."""
    language = context.state.language_support
    if language is None:
        context.note("tests", 1, f"none were written: ChatDev cannot run {context.state.language}")
        return context.state
    gathering = _Gathering(context, _only_tests, (language.test_file,), context.state.acceptance_tests)
    baseline = (await _insist_on_tests(context, gathering, language))[1]
    if not gathering.files:
        context.note("tests", 1, "no acceptance test was written; the product cannot be judged")
        return context.state
    return msgspec.structs.replace(context.write(gathering.close()), baseline=baseline)


async def amend(context: PhaseContext) -> State:
    """The tester may correct a test. The report gives the reason, and each test that is gone."""
    language = context.state.language_support
    if language is None:
        return context.state
    there = context.state.acceptance_tests
    gathering = _Gathering(context, _only_tests, tuple(there) if len(there) == 1 else (language.test_file,), there)
    answer, baseline = await _insist_on_tests(context, gathering, language)
    if not gathering.files or baseline is None or _proves_nothing(baseline):
        return context.state
    state = context.write(gathering.files)
    before_files = answer.text.partition("```")[0].split("\n")
    reason = next((line.strip() for line in before_files if line.strip() and line.strip() not in gathering.files), "")
    context.note("tests", 1, f"{', '.join(gathering.files)} was amended{': ' if reason else ''}{reason[:300]}")
    before = {result.id for result in context.state.baseline.results} if context.state.baseline else set()
    for number, gone in enumerate(sorted(before - {result.id for result in baseline.results}), 2):
        context.note("tests", number, f"{gone} is gone with the amendment")
    return msgspec.structs.replace(state, baseline=baseline)


async def _insist_on_tests(
    context: PhaseContext, gathering: _Gathering, language: Product
) -> tuple[RoleAnswer, TestsRan | None]:
    """The last answer, and how its tests ran on the empty project, where they must fail."""
    baseline: TestsRan | None = None
    others = context.state.acceptance_tests

    async def read(answer: RoleAnswer) -> Missing | None:
        nonlocal baseline
        if lack := gathering.keep(answer):
            return lack
        if not gathering.files:  # the tester says that there is nothing to write
            return None
        files = {path: text.encode() for path, text in (others | gathering.files).items()}
        here = context.scope.at(places.BASELINE, gathering.answers)
        version = verdict.files_digest(files)
        ran = baseline = await here.perform(
            TestsRan,
            version,
            lambda: language.run_tests(context.run.sandbox, files, place=here.place, digest=version),
        )
        if ran.lacks:
            context.note("tests", gathering.answers, f"they were not tried: there is no {ran.lacks} here")
            return None
        if why := _untestable(ran):
            gathering.files.clear()
            return gathering.lack(
                "no_tests", f"the tests cannot be run: {why}", why=reason_text(why), paths=language.test_file
            )
        if _proves_nothing(ran):
            return gathering.lack("vacuous", "every test passes without a program", paths=language.test_file)
        return None

    return await context.insist(read), baseline


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
