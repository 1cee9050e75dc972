"""Judges delivered products by what no arm has seen. Only inputs enter the sandbox, and only after delivery."""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from chatdev.errors import UserError
from chatdev.evaluation import answers, own_tests
from chatdev.evaluation.sets import Case, Task
from chatdev.product.sessions import NOT_STARTED, Call, Ended, run_sessions
from chatdev.project import languages
from chatdev.project.python_start import MAIN
from chatdev.project.verdict import files_digest
from chatdev.sandbox.port import Sandbox, SandboxError

SECONDS = 10.0
"""For one answer."""
_PROGRAM = (sys.executable, "-s", "-B", MAIN)
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}


class Judged(msgspec.Struct, frozen=True):
    """What came of one product. Of ``of`` hidden cases or tests, ``held`` hold; ``missed`` are the numbers of the
    others, from 1 on: never their texts. ``examples``: whether all of the task's own examples hold, None where it has
    none.

    The company's ``own_tests`` were run on the reference too, where ``own_failed`` of them did not pass. ``product``
    and ``judge`` name the files that were judged and what judged them.
    """

    arm: str
    task: str
    repeat: int
    product: str
    judge: str
    held: int
    of: int
    missed: tuple[int, ...] = ()
    examples: bool | None = None
    own_tests: int = 0
    own_failed: int = 0

    @property
    def solved(self) -> bool:
        """Whether everything hidden holds."""
        return self.held == self.of

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """A judgement with the same key need not be made again."""
        return self.arm, self.task, self.repeat, self.product, self.judge


def key(arm: str, task: Task, repeat: int, files: Mapping[str, bytes]) -> tuple[str, str, int, str, str]:
    """The key of a product's judgement, before there is one."""
    return arm, task.name, repeat, files_digest(files), task.judge


async def judge(
    sandbox: Sandbox, arm: str, task: Task, repeat: int, files: Mapping[str, bytes], *, tested: bool = False
) -> Judged:
    """Judge the files of a product, with its own tests if it is ``tested``. Raises UserError and SandboxError."""
    holding = await _cases(sandbox, files, (*task.cases, *task.hidden))
    examples, hidden = holding[: len(task.cases)], holding[len(task.cases) :]
    if task.tests:
        hidden = await _tests(sandbox, task, files)
    own = await own_tests.against(sandbox, files, task.reference) if tested and task.reference else own_tests.NONE
    return Judged(
        *key(arm, task, repeat, files),
        held=sum(hidden),
        of=len(hidden),
        missed=tuple(number for number, held in enumerate(hidden, 1) if not held),
        examples=all(examples) if examples else None,
        own_tests=own.ran,
        own_failed=own.failed,
    )


async def _cases(sandbox: Sandbox, files: Mapping[str, bytes], cases: Sequence[Case]) -> list[bool]:
    """Which of the cases hold, each on a copy of the product of its own."""
    if MAIN not in files or not cases:
        return [False] * len(cases)
    sessions = [[Call(stdin=answers.request(case.property, case.input))] for case in cases]
    ended = await _ended(sandbox, files, sessions)
    return [
        not one.stopped and answers.holds(one.stdout, case.expected) for (one,), case in zip(ended, cases, strict=True)
    ]


async def _ended(
    sandbox: Sandbox, files: Mapping[str, bytes], sessions: Sequence[Sequence[Call]]
) -> tuple[tuple[Ended, ...], ...]:
    """What came of each start. A product that ends the sandbox's own driver has answered nothing. Raises SandboxError
    where an empty program fares no better."""
    try:
        return await run_sessions(sandbox, files, _PROGRAM, sessions, seconds=SECONDS, environment=_ENVIRONMENT)
    except SandboxError:
        await run_sessions(sandbox, {MAIN: b""}, _PROGRAM, [[Call()]], seconds=SECONDS, environment=_ENVIRONMENT)
        return tuple((NOT_STARTED,) * len(session) for session in sessions)


async def _tests(sandbox: Sandbox, task: Task, files: Mapping[str, bytes]) -> list[bool]:
    """How the hidden tests went, by their ids; the product's own are put away first. One miss where none could run."""
    program = own_tests.without_tests(files)
    hidden = {f"tests/{path}": content for path, content in task.tests.items()}
    try:
        way = languages.of_folder(program)
    except UserError:  # a manifest that a model wrote
        return [False]
    ran = await way.run_tests(sandbox, program | hidden)
    if ran.lacks:
        raise UserError(f"The hidden tests of {task.name} need {ran.lacks}, which is not here.", do="Install it.")
    outcomes = {result.id: result.outcome for result in ran.results}
    held = [outcomes[name] == "passed" and not ran.trouble for name in sorted(outcomes)]
    return held or [False]
