"""Everything that a log can contain: one class per event, each with a literal tag.

Two kinds. *Effects* hold a result that cannot be reproduced (a model's answer, a program's run); on a resume they are
returned from the log instead of being performed. *Derived* events record what ChatDev made of the effects; on a resume
they are compared, not written again. Both have a ``place``: a path of ``name.ordinal`` segments, unique in a run.
"""

import re
from typing import Literal

import msgspec

from chatdev.receipt import Receipt
from chatdev.run_options import RunOptions

_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt|Failure)(?::|$)")

SCHEMA = 4
"""Version of this file's classes, written into ``run.started`` and ``attempt.started``. It is raised for each new class
and whenever an old log would be misread; a new field with a default needs no new version. Old logs must stay readable:
``tests/journal/logs`` keeps one of each version."""


GUARDED = 4
"""The first version whose runs undo a change that lowers the evidence."""


class Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """The base of all events."""


class RunStarted(Event, RunOptions, frozen=True, tag="run.started"):
    """The first event: the task, the company and the options as typed. ``model`` is the label typed or chosen.
    ``ignored`` are the parts of a ChatDev 1.0 company that the run leaves out, since they are not supported."""

    schema: int
    version: str
    name: str
    org: str
    stamp: str
    task: str
    company: str
    model: str
    roles: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class AttemptStarted(Event, RunOptions, frozen=True, tag="attempt.started"):
    """A process began to work on the run: the first time, or on a resume. Has no place: each attempt appends one.

    ``endpoint`` is a base URL without credentials; ``window`` is in tokens; ``sandbox`` is the level; ``engine`` is the
    owner in the server's list of models, such as ``vllm``. The options are those in force: typed at the start or at a
    resume. ``effort`` is how much the company does, the same from the first attempt on. Older logs have only
    ``limits``, ``candidates`` and ``effort`` here.
    """

    number: int
    endpoint: str
    model: str
    window: int | None
    sandbox: str
    notes: tuple[str, ...] = ()
    engine: str = ""
    schema: int = 1
    version: str = ""


class AttemptStopped(Event, frozen=True, tag="attempt.stopped"):
    """A process stopped before the run's end: interrupted, or by an error that it could name. ``error``: its class."""

    number: int
    why: str
    error: str = ""


class ClockJumped(Event, frozen=True, tag="clock.jumped"):
    """Since the previous record, the system clock advanced ``seconds`` more than the process's own clock: the machine
    slept, or its clock was set (back, if negative). Has no place: no work depends on it.
    """

    seconds: float


class ServerCounted(Event, frozen=True, tag="server.counted"):
    """The model server's counters from an attempt's beginning to its end, with the traffic of all clients. Has no
    place: each attempt appends at most one, at its end.

    ``prefix_queries`` are the prompt tokens looked up in the prefix cache, ``prefix_hits`` those found there;
    ``preemptions`` the requests preempted because the KV cache was full. None if the server does not report it.
    """

    number: int
    engine: str
    prefix_queries: int | None = None
    prefix_hits: int | None = None
    preemptions: int | None = None


class MessageStored(Event, frozen=True, tag="message.stored"):
    """A message's text, stored once per run under its content id; calls refer to it."""

    id: str
    role: str
    content: str


class ModelAnswered(Event, Receipt, frozen=True, kw_only=True, tag="model.answered"):
    """Effect: one answer of a model, with the fields of its receipt.

    ``messages`` are ids of ``message.stored``; ``digest`` is over the uncut messages; ``role`` is the role that
    answered. ``answer_id`` is the server's id of the answer, to be looked up in its log. If ``stopped`` says that
    ChatDev closed the stream early, ``finish_reason`` and the token counts are ChatDev's own.
    """

    place: str
    digest: str
    role: str
    messages: tuple[str, ...]
    text: str
    finish_reason: str
    reasoning: str = ""
    temperature: float | None = None
    answer_id: str = ""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The lines of ``tried`` about endpoints other than the one that answered."""
        return tuple(each for each in self.tried if not each.startswith(f"{self.endpoint}: "))


TestOutcome = Literal["passed", "failed", "error", "skipped", "no result"]


class TestResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test: its id (``file::Class::method``), its outcome, and for all but ``passed`` why, in normalised text.

    ``tier`` of a test that is a row: ``trusted`` if the task contains it, ``doubtful`` if a model wrote it, ``agreed``
    if its output is what several drafts printed. ``printed`` is the output of a product that failed a model's row but
    ended without an error. ``broke``: the product could not be built, or ended with an error on standard error that the
    row does not expect.
    """

    __test__ = False

    id: str
    outcome: TestOutcome
    why: str = ""
    needs: str = ""
    tier: Literal["", "trusted", "agreed", "doubtful"] = ""
    printed: str = ""
    broke: bool = False

    @property
    def cause(self) -> str:
        """The line of ``why`` that names the error (a comparison may follow it), else its last line."""
        lines = [line.strip() for line in self.why.splitlines() if line.strip()]
        named = [line for line in lines if _ERROR.match(line)]
        return (named or lines or [""])[-1]


class TestsRan(Event, frozen=True, tag="tests.ran"):
    """Effect: the acceptance tests were run on one version of the product.

    ``digest`` names the files that were run; ``results`` has an entry for every collected test. ``trouble`` says why
    the whole test run is unreliable (a limit, a tampered framework, an early exit), else it is empty. ``output`` is the
    end of the program's output, normalised. ``lacks`` is a missing tool of the language; then nothing was run.
    ``open`` has an entry for every row without an output; such rows are not judged.
    """

    __test__ = False

    place: str
    digest: str
    results: tuple[TestResult, ...]
    trouble: str = ""
    output: str = ""
    seconds: float = 0.0
    lacks: str = ""
    open: tuple[TestResult, ...] = ()


class ProductStarted(Event, frozen=True, tag="product.started"):
    """Effect: the product was started as a user would start it, and watched for a while.

    ``how`` is ``exited`` (by itself, with ``exit_status``), ``alive`` (still running after that time), ``crashed``
    (``why`` names the error) or ``missing`` (nothing to start). ``needs`` is a package that is not installed,
    ``lacks`` a missing tool of the language or display without which it could not be started. ``made`` are the paths
    of files that it left when it exited by itself, if their content matches their extension.
    """

    place: str
    digest: str
    how: Literal["exited", "alive", "crashed", "missing"]
    exit_status: int | None = None
    why: str = ""
    needs: str = ""
    output: str = ""
    seconds: float = 0.0
    lacks: str = ""
    made: tuple[str, ...] = ()


Limit = Literal["calls", "tokens", "minutes", "cost"]


class LimitReached(Event, frozen=True, tag="limit.reached"):
    """Effect: a limit was reached before a call at this place, so that the call was not made.

    ``spent`` of ``at_most``, in the limit's unit (``cost`` in US dollars); ``phase`` is empty for a limit of the whole
    run, and the run then ends. Recorded, so that a resume stops where the run stopped.
    """

    place: str
    digest: str
    limit: Limit
    at_most: float
    spent: float
    phase: str = ""


class ProductProbed(Event, frozen=True, tag="product.probed"):
    """Effect: the product was started with inputs whose right output is unknown.

    ``outputs`` has a short name for each output, the same for the same output, empty if the product broke, and ``time``
    if it took too long. The last ones belong to the tester's examples; ``met`` says for each of these whether it holds.
    ``digest`` names the files.
    """

    place: str
    digest: str
    outputs: tuple[str, ...] = ()
    met: tuple[bool, ...] = ()
    seconds: float = 0.0


class CandidateResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One candidate's result when a race was decided.

    It passed ``passed`` of its ``tests`` acceptance tests; ``why`` is the reason for ``failed``. ``tokens`` were
    received from a call that was cancelled then; no other record counts them.
    """

    number: int
    how: Literal["won", "beaten", "cancelled", "failed"]
    passed: int = 0
    tests: int = 0
    why: str = ""
    calls: int = 0
    tokens: int = 0


class RaceDecided(Event, frozen=True, tag="race.decided"):
    """Effect: the ``winner``, by its number from 1, of several candidates that solved a phase in parallel.

    Recorded before the others are cancelled. ``digest`` names the version of the product that all of them began with;
    the log of each is below this place, under ``candidate.NUMBER``. ``dropped`` are the ids of the tester's rows that
    no candidate met, ``settled`` those for which several candidates printed the same as the winner; these are judged by
    that output. ``agreed`` is the number of candidates, winner included, with the same outputs for inputs that are in
    no test; 0 if that was not tried.
    """

    place: str
    digest: str
    winner: int
    standings: tuple[CandidateResult, ...] = ()
    dropped: tuple[str, ...] = ()
    agreed: int = 0
    settled: tuple[str, ...] = ()


class PhaseBegan(Event, frozen=True, tag="phase.began"):
    """Derived: a phase began. ``user`` opens with the question, ``assistant`` answers: ``candidates`` of it in
    parallel, independently of each other."""

    place: str
    phase: str
    assistant: str = ""
    user: str = ""
    candidates: int = 1


class PhaseEnded(Event, frozen=True, tag="phase.ended"):
    """Derived: the phase's conclusion, in a few words; ``reflected`` if it took a reflection to find it."""

    place: str
    phase: str
    conclusion: str = ""
    reflected: bool = False


class FileWritten(Event, frozen=True, tag="file.written"):
    """Derived: a file of the product has new content. ``diff`` is a unified diff, cut after 200 lines."""

    place: str
    path: str
    sha256: str
    size: int
    lines: int
    added: int
    removed: int
    diff: str = ""


class FileRemoved(Event, frozen=True, tag="file.removed"):
    """Derived: a file of the product was removed, because the change that added it was undone or it was renamed."""

    place: str
    path: str


class FileRefused(Event, frozen=True, tag="file.refused"):
    """Derived: a file that a model named was not written, and the reason."""

    place: str
    path: str
    why: str


class Diagnostic(Event, frozen=True, tag="noted"):
    """Derived: something the reader of the report must know: a repeated request, a guess, a name that was aligned with
    the intended one, a cut or refused answer, vacuous tests, cycles without progress, a change that was undone."""

    place: str
    kind: Literal["asked again", "guessed", "aligned", "cut", "refused", "tests", "in circles", "undone"]
    text: str


class VerdictReached(Event, frozen=True, tag="verdict.reached"):
    """Derived: the verdict on the product. ``verdict`` is ``passed``, ``failed (7 of 9)`` or ``not run (why)``.

    ``vacuous`` are ids of tests that pass without the product. ``version`` is the digest of the judged files, the same
    as in the test run and the start that the verdict is based on. It is empty in logs before schema 4, where the last
    test run and start count.
    """

    place: str
    verdict: str
    why: str = ""
    vacuous: tuple[str, ...] = ()
    version: str = ""


class RunFinished(Event, frozen=True, tag="run.finished"):
    """Derived: the end of the work. Modality, language and ideas are the company's decisions, for ``meta.txt``."""

    place: str
    verdict: str
    modality: str = ""
    language: str = ""
    ideas: str = ""


Effect = ModelAnswered | TestsRan | ProductStarted | ProductProbed | LimitReached | RaceDecided
Derived = PhaseBegan | PhaseEnded | FileWritten | FileRemoved | FileRefused | Diagnostic | VerdictReached | RunFinished
Any = RunStarted | AttemptStarted | AttemptStopped | ClockJumped | ServerCounted | MessageStored | Effect | Derived
