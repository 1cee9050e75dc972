"""Judges delivered products by cases that no arm has seen. Only inputs enter the sandbox, and only after delivery."""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from chatdev.errors import UserError
from chatdev.evaluation import answers, own_tests
from chatdev.evaluation.sets import Case, EvalTask
from chatdev.product import languages
from chatdev.product.python_layout import MAIN
from chatdev.product.sessions import NOT_STARTED, Ended, Invocation, run_sessions
from chatdev.product.verdict import files_digest
from chatdev.sandbox.port import Sandbox, SandboxError

SECONDS = 10.0
"""Time limit for one answer."""
_PROGRAM = (sys.executable, "-s", "-B", MAIN)
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}


class HiddenResult(msgspec.Struct, frozen=True):
    """The judgement of one product. Of ``of`` hidden cases or tests, ``held`` pass; ``missed`` are the numbers of the
    others, from 1, never their texts. ``examples``: whether all of the task's own examples pass; None if it has none.

    The company's ``own_tests`` also ran on the reference, where ``own_failed`` of them did not pass. ``product`` and
    ``judge`` identify the judged files and what judged them.
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
        """Whether all hidden cases or tests pass."""
        return self.held == self.of

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """A product with the same key need not be judged again."""
        return self.arm, self.task, self.repeat, self.product, self.judge


def key(arm: str, task: EvalTask, repeat: int, files: Mapping[str, bytes]) -> tuple[str, str, int, str, str]:
    """The key of a product's judgement, before it is made."""
    return arm, task.name, repeat, files_digest(files), task.judge


async def judge(
    sandbox: Sandbox, arm: str, task: EvalTask, repeat: int, files: Mapping[str, bytes], *, tested: bool = False
) -> HiddenResult:
    """Judge the files of a product, and its own tests if it is ``tested``. Raises UserError and SandboxError."""
    results = await _cases(sandbox, files, (*task.cases, *task.hidden))
    examples, hidden = results[: len(task.cases)], results[len(task.cases) :]
    if task.tests:
        hidden = await _tests(sandbox, task, files)
    own = await own_tests.against(sandbox, files, task.reference) if tested and task.reference else own_tests.NONE
    return HiddenResult(
        *key(arm, task, repeat, files),
        held=sum(hidden),
        of=len(hidden),
        missed=tuple(number for number, held in enumerate(hidden, 1) if not held),
        examples=all(examples) if examples else None,
        own_tests=own.ran,
        own_failed=own.failed,
    )


async def _cases(sandbox: Sandbox, files: Mapping[str, bytes], cases: Sequence[Case]) -> list[bool]:
    """Which of the cases pass, each on its own copy of the product."""
    if MAIN not in files or not cases:
        return [False] * len(cases)
    sessions = [[Invocation(stdin=answers.request(case.property, case.input))] for case in cases]
    ended = await _ended(sandbox, files, sessions)
    return [
        not one.stopped and answers.holds(one.stdout, case.expected) for (one,), case in zip(ended, cases, strict=True)
    ]


async def _ended(
    sandbox: Sandbox, files: Mapping[str, bytes], sessions: Sequence[Sequence[Invocation]]
) -> tuple[tuple[Ended, ...], ...]:
    """The outcome of each start. A product that kills the sandbox's own driver has given no answers. Raises
    SandboxError if an empty program fails, too."""
    try:
        return await run_sessions(sandbox, files, _PROGRAM, sessions, seconds=SECONDS, environment=_ENVIRONMENT)
    except SandboxError:
        await run_sessions(sandbox, {MAIN: b""}, _PROGRAM, [[Invocation()]], seconds=SECONDS, environment=_ENVIRONMENT)
        return tuple((NOT_STARTED,) * len(session) for session in sessions)


async def _tests(sandbox: Sandbox, task: EvalTask, files: Mapping[str, bytes]) -> list[bool]:
    """The results of the hidden tests, by id, without the product's own tests. One failure if none could run."""
    program = own_tests.without_tests(files)
    hidden = {f"tests/{path}": content for path, content in task.tests.items()}
    try:
        language = languages.of_folder(program)
    except UserError:  # the model wrote an invalid manifest
        return [False]
    ran = await language.run_tests(sandbox, program | hidden)
    if ran.lacks:
        raise UserError(f"The hidden tests of {task.name} need {ran.lacks}, but it is not installed.", do="Install it.")
    outcomes = {result.id: result.outcome for result in ran.results}
    held = [outcomes[name] == "passed" and not ran.trouble for name in sorted(outcomes)]
    return held or [False]
