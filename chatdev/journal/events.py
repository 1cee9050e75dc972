"""Everything that a log can say: one class per event, each with a literal tag.

Two kinds. *Effects* hold a result that cannot be had again (a model's answer, a program's run); on a resume they are
returned from the log instead of being performed. *Derived* events say what the program made of them; on a resume they
are compared, not written again. Both bear a ``place``: a path of ``name.ordinal`` segments, unique in a run.
"""

import re
from typing import Literal

import msgspec

_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt|Failure)(?::|$)")

SCHEMA = 4
"""Version of this file's classes, written into ``run.started`` and ``attempt.started``. It grows with each new class
and whenever an old log would be misread; a new field with a default needs no new version. Old logs must stay readable:
``tests/journal/logs`` keeps one of each version."""


GUARDED = 4
"""The first version whose runs undo a change that lowers the evidence."""


class Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """The base of all events."""


class RunStarted(Event, frozen=True, tag="run.started"):
    """The first event: what was asked, of which company, by which command. ``model`` is the label typed or chosen,
    ``role_models`` are those that were given for roles and phases, ``endpoints`` those that were given for the run, as
    typed. ``local_only``, ``max_cost`` (US dollars) and ``second_opinion`` hold for every attempt at it. ``limits`` are
    those of the whole run that were typed, by name; ``candidates`` how many shall solve a phase at once, 0 where nobody
    said so; ``network`` the network of agents that was typed, as JSON. ``effort`` and ``settings``, each
    ``PHASE.KEY=VALUE``, are as typed; ``sample`` is which sample of its task the run is, from 1 on, 0 where it is
    none."""

    schema: int
    version: str
    name: str
    org: str
    stamp: str
    task: str
    company: str
    model: str
    roles: tuple[str, ...] = ()
    role_models: tuple[str, ...] = ()
    limits: dict[str, float] = {}
    endpoints: tuple[str, ...] = ()
    local_only: bool = False
    max_cost: float | None = None
    second_opinion: bool = False
    candidates: int = 0
    network: str = ""
    effort: str = ""
    settings: tuple[str, ...] = ()
    sample: int = 0


class AttemptStarted(Event, frozen=True, tag="attempt.started"):
    """A process took up the run: the first time, or on a resume. Bears no place: each attempt appends one.

    ``endpoint`` is a base URL without credentials; ``window`` is in tokens; ``sandbox`` is the level; ``engine`` is
    what the server's list of models says of its owner, such as ``vllm``. ``limits`` are the run's that hold now,
    ``candidates`` those that were typed. ``effort`` is how much the company does, from the first attempt on.
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
    limits: dict[str, float] = {}
    candidates: int = 0
    effort: str = ""


class AttemptStopped(Event, frozen=True, tag="attempt.stopped"):
    """A process gave the run up before its end: interrupted, or an error that it could name. ``error`` is its class."""

    number: int
    why: str
    error: str = ""


class ClockJumped(Event, frozen=True, tag="clock.jumped"):
    """Since the record before, the wall clock went on by so many ``seconds`` more than this process lived: the machine
    slept, or its clock was set (back, where they are negative). Bears no place: nothing of the work depends on it.
    """

    seconds: float


class ServerCounted(Event, frozen=True, tag="server.counted"):
    """What the model server counted of its own work from an attempt's beginning to its end: all of its traffic, whoever
    asked. Bears no place: each attempt appends at most one, when its work is over.

    ``prefix_queries`` are the prompt tokens that were looked up in the prefix cache, ``prefix_hits`` those found there;
    ``preemptions`` the requests thrown out of the running batch for want of KV cache. None where it does not tell.
    """

    number: int
    engine: str
    prefix_queries: int | None = None
    prefix_hits: int | None = None
    preemptions: int | None = None


class MessageStored(Event, frozen=True, tag="message.stored"):
    """A message's text, once per run, under its content id; calls refer to it."""

    id: str
    role: str
    content: str


class ModelAnswered(Event, frozen=True, tag="model.answered"):
    """Effect: one answer of a model.

    ``messages`` are ids of ``message.stored``; ``digest`` is over the uncut messages; ``role`` is who spoke. Token
    counts are the server's, or marked as ``estimated``. ``cost`` in US dollars, None where the price is unknown.
    ``first_token`` and ``seconds`` are seconds of wall time. ``cuts`` says what of the messages was cut to fit the
    window. ``answer_id`` is the server's own name for the answer, which its log may hold. ``model`` is what the answer
    calls its model, ``asked`` the name that was asked for. ``tried`` has a line, ``BASE_URL: why``, for each endpoint
    that failed or was passed over before the answer, also for the one that gave it in the end. ``stopped`` says why
    the stream was left before the server ended it; ``finish_reason`` and the count of tokens are ours then.
    """

    place: str
    digest: str
    role: str
    messages: tuple[str, ...]
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    endpoint: str
    model: str
    reasoning: str = ""
    cached_tokens: int | None = None
    estimated: bool = False
    cost: float | None = None
    tries: int = 1
    first_token: float | None = None
    seconds: float = 0.0
    max_tokens: int = 0
    adapted: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    temperature: float | None = None
    answer_id: str = ""
    asked: str = ""
    tried: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Those lines of ``tried`` that tell of other endpoints than the one that answered."""
        return tuple(each for each in self.tried if not each.startswith(f"{self.endpoint}: "))


TestOutcome = Literal["passed", "failed", "error", "skipped", "no result"]


class TestResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test: its id (``file::Class::method``), how it went, and for all but ``passed`` why, in normalised text.

    ``tier`` of a test that is a row: ``trusted`` if it stands in the task, ``doubtful`` if a model wrote it, ``agreed``
    if its output is what several drafts printed. ``printed`` is what a product printed that failed one of a model's, if
    it ended well.
    """

    __test__ = False

    id: str
    outcome: TestOutcome
    why: str = ""
    needs: str = ""
    tier: Literal["", "trusted", "agreed", "doubtful"] = ""
    printed: str = ""

    @property
    def cause(self) -> str:
        """The line of ``why`` that names the error, which a comparison may follow; else its last line."""
        lines = [line.strip() for line in self.why.splitlines() if line.strip()]
        named = [line for line in lines if _ERROR.match(line)]
        return (named or lines or [""])[-1]


class TestsRan(Event, frozen=True, tag="tests.ran"):
    """Effect: the acceptance tests were run on one version of the product.

    ``digest`` names the files that were run; ``results`` has an entry for every collected test. ``trouble`` says why
    the run as a whole cannot be believed (a limit, a tampered framework, an early exit), else it is empty. ``output``
    is the end of what the program printed, normalised. ``lacks`` is a tool of the language that is not here; then
    nothing was run. ``open`` has an entry for every row without an output, by which nothing is judged.
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
    """Effect: the product was started the way a user starts it, and watched.

    ``how`` is ``exited`` (by itself, with ``exit_status``), ``alive`` (still running after the watch), ``crashed``
    (``why`` says with what) or ``missing`` (nothing to start). ``needs`` is a package that is not installed here,
    ``lacks`` a tool of the language or a display, without which it could not be started. ``made`` are the paths of
    files that it wrote and left when it ended by itself, of the kind that their ending says.
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

    ``spent`` of ``at_most``, in the limit's unit (``cost`` in US dollars); ``phase`` is empty where the limit is that
    of the whole run, which then ends. Recorded, so that a resume stops where the run stopped.
    """

    place: str
    digest: str
    limit: Limit
    at_most: float
    spent: float
    phase: str = ""


class ProductProbed(Event, frozen=True, tag="product.probed"):
    """Effect: the product was started with inputs for which nobody knows the right output.

    ``outputs`` has a short name for what came of each, the same for the same output, empty where the product broke, and
    ``time`` where it took too long. The last ones are those of the tester's examples, of which ``met`` says whether
    each holds. ``digest`` names the files.
    """

    place: str
    digest: str
    outputs: tuple[str, ...] = ()
    met: tuple[bool, ...] = ()
    seconds: float = 0.0


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one candidate of a race stood when it was decided.

    ``passed`` of ``tests`` are its acceptance tests; ``why`` tells of what ``failed``. ``tokens`` are what had come of
    a call that was cut off then, which no other record counts.
    """

    number: int
    how: Literal["won", "beaten", "cancelled", "failed"]
    passed: int = 0
    tests: int = 0
    why: str = ""
    calls: int = 0
    tokens: int = 0


class RaceDecided(Event, frozen=True, tag="race.decided"):
    """Effect: of several candidates that solved a phase at once, who ``winner`` is, by its number from 1 on.

    Recorded before the others are cancelled. ``digest`` names the version of the product that all of them began with;
    what each of them did stands in the log below this place, under ``candidate.NUMBER``. ``dropped`` are the ids of
    rows of the tester that no candidate met, ``settled`` of those for which several printed what the winner did, and
    by that they are judged. ``agreed`` is how many candidates gave the same outputs as the winner for
    inputs that no test holds, itself among them; 0 where that was not tried.
    """

    place: str
    digest: str
    winner: int
    standings: tuple[Standing, ...] = ()
    dropped: tuple[str, ...] = ()
    agreed: int = 0
    settled: tuple[str, ...] = ()


class PhaseBegan(Event, frozen=True, tag="phase.began"):
    """Derived: two roles sit down. ``user`` opens with the question, ``assistant`` answers: ``candidates`` of it at
    once, each for itself."""

    place: str
    phase: str
    assistant: str = ""
    user: str = ""
    candidates: int = 1


class PhaseEnded(Event, frozen=True, tag="phase.ended"):
    """Derived: the phase's conclusion, in a few words; ``reflected`` if only a reflection found it."""

    place: str
    phase: str
    conclusion: str = ""
    reflected: bool = False


class FileWritten(Event, frozen=True, tag="file.written"):
    """Derived: a file of the product has a new content. ``diff`` is a unified diff, cut past 200 lines."""

    place: str
    path: str
    sha256: str
    size: int
    lines: int
    added: int
    removed: int
    diff: str = ""


class FileRemoved(Event, frozen=True, tag="file.removed"):
    """Derived: a file of the product is gone, since the change that brought it was undone, or it has another name."""

    place: str
    path: str


class FileRefused(Event, frozen=True, tag="file.refused"):
    """Derived: a file that a model named was not written, and why."""

    place: str
    path: str
    why: str


class Noted(Event, frozen=True, tag="noted"):
    """Derived: something the reader of the report must know: asked again, guessed, a name that was aligned with the
    one that was meant, cut, refused, vacuous tests, cycles that led nowhere, a change that was undone."""

    place: str
    kind: Literal["asked again", "guessed", "aligned", "cut", "refused", "tests", "in circles", "undone"]
    text: str


class VerdictReached(Event, frozen=True, tag="verdict.reached"):
    """Derived: what is true of the product. ``verdict`` is ``passed``, ``failed (7 of 9)`` or ``not run (why)``.

    ``vacuous`` are ids of tests that pass without the product. ``version`` is the digest of the files that it is about,
    which tests and start that it rests on bear, too; empty in logs before schema 4, where the last ones count.
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
Derived = PhaseBegan | PhaseEnded | FileWritten | FileRemoved | FileRefused | Noted | VerdictReached | RunFinished
Any = RunStarted | AttemptStarted | AttemptStopped | ClockJumped | ServerCounted | MessageStored | Effect | Derived
