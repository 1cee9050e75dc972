"""One fold over the log that every other view reads."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from chatdev.journal import events, places
from chatdev.journal.active import Active
from chatdev.journal.store import Record
from chatdev.views import races

T = TypeVar("T")
L = TypeVar("L", events.FileRefused, events.Diagnostic, events.LimitReached, events.TestsRan, events.ProductStarted)
E = TypeVar("E", events.TestsRan, events.ProductStarted)

_TRIES = re.compile(r" \(\d+ tries\)")


class CallTotals(msgspec.Struct, frozen=True):
    """What a number of calls used: tokens; ``seconds`` of elapsed time, ``writing`` the part after the first token;
    ``cost`` in US dollars, None if the price of any call is unknown. ``requests`` counts every request, retries
    included; ``estimated`` the calls whose token counts the server did not confirm; ``cut`` the answers that ended at
    the token limit, ``stopped`` those that ChatDev stopped reading early.
    """

    calls: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: int = 0
    cut: int = 0
    stopped: int = 0
    seconds: float = 0.0
    writing: float = 0.0
    cost: float | None = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def rate(self) -> float:
        """Completion tokens per second of writing; 0 if that is unknown or was too short to measure."""
        return self.completion_tokens / self.writing if self.writing > 0.05 else 0.0


class PhaseSummary(msgspec.Struct, frozen=True):
    """One phase, in the order in which they began. ``seconds`` is elapsed time, without the gaps between attempts."""

    place: str
    name: str
    assistant: str
    user: str
    work: CallTotals
    seconds: float
    ended: bool
    conclusion: str = ""
    reflected: bool = False


class Responder(msgspec.Struct, frozen=True):
    """What answered for a role: one model at one endpoint (a base URL)."""

    role: str
    endpoint: str
    model: str
    work: CallTotals


class Summary(msgspec.Struct, frozen=True):
    """What the log says about a run. Tuples are in log order; ``files`` holds each path once, as last written.

    ``verdict`` is empty while there is none. ``duration`` is in seconds: each attempt from its first record to its
    last, without sleep. ``limits`` are those that were reached. ``races`` are the decided races between candidates;
    apart from them, losers count only in ``work`` and in numbers of calls. ``fell_back`` counts the calls that another
    endpoint than the first one answered; ``tried`` are the reasons, ``BASE_URL: why``, each with its number of calls,
    including calls that the same endpoint answered in the end. ``fitted`` are the answers to prompts that were cut to
    the window. ``tests`` is the latest test run on the product; ``utterances`` counts the answers, and the questions
    that no model wrote.
    """

    started: events.RunStarted | None
    attempts: tuple[events.AttemptStarted, ...]
    stops: tuple[events.AttemptStopped, ...]
    servers: tuple[events.ServerCounted, ...]
    phases: tuple[PhaseSummary, ...]
    voices: tuple[Responder, ...]
    work: CallTotals
    files: tuple[events.FileWritten, ...]
    refused: tuple[events.FileRefused, ...]
    notes: tuple[events.Diagnostic, ...]
    limits: tuple[events.LimitReached, ...]
    races: tuple[races.Race, ...]
    adapted: tuple[str, ...]
    empty: tuple[tuple[str, int], ...]
    fell_back: int
    tried: tuple[tuple[str, int], ...]
    fitted: tuple[events.ModelAnswered, ...]
    tests: events.TestsRan | None
    product: events.ProductStarted | None
    verdict: str
    why: str
    vacuous: frozenset[str]
    finished: events.RunFinished | None
    duration: float
    reflections: int
    utterances: int

    @property
    def stopped(self) -> events.AttemptStopped | None:
        """How the last attempt stopped, if it recorded that."""
        number = self.attempts[-1].number if self.attempts else 1
        return next((stop for stop in self.stops if stop.number == number), None)

    @property
    def folder(self) -> str:
        """The run's folder name, as ChatDev 1.0 builds it: ``{name}_{org}_{stamp}``."""
        return f"{self.started.name}_{self.started.org}_{self.started.stamp}" if self.started else ""


def fold(records: Sequence[Record]) -> Summary:
    """The summary of a log, finished or not, empty or not."""
    by_kind: dict[type, list[events.Any]] = {}
    for record in records:
        by_kind.setdefault(type(record.event), []).append(record.event)

    def every(kind: type[T]) -> tuple[T, ...]:
        return tuple(event for event in by_kind.get(kind, ()) if isinstance(event, kind))

    def last(kind: type[T]) -> T | None:
        return (every(kind) or (None,))[-1]

    lost = races.LosingBranches(every(events.RaceDecided))

    def kept(kind: type[L]) -> tuple[L, ...]:
        return tuple(event for event in every(kind) if not lost.holds(event.place))

    calls = every(events.ModelAnswered)
    verdict, finished = last(events.VerdictReached), last(events.RunFinished)
    active = Active()
    clock = [active.add(record) for record in records]
    return Summary(
        started=next(iter(every(events.RunStarted)), None),
        attempts=every(events.AttemptStarted),
        stops=every(events.AttemptStopped),
        servers=every(events.ServerCounted),
        phases=_phases(records, clock, calls),
        voices=_voices(calls),
        work=_work(calls),
        files=_files(records),
        refused=kept(events.FileRefused),
        notes=kept(events.Diagnostic),
        limits=kept(events.LimitReached),
        races=races.summaries(every(events.RaceDecided), calls),
        adapted=tuple(dict.fromkeys(change for call in calls for change in call.adapted)),
        empty=tuple(Counter(call.text_in for call in calls if call.text_in).most_common()),
        fell_back=sum(bool(call.passed_over) for call in calls),
        tried=tuple(Counter(_TRIES.sub("", why) for call in calls for why in call.tried).most_common()),
        fitted=tuple(call for call in calls if call.cuts),
        tests=_judged([ran for ran in kept(events.TestsRan) if not is_baseline(ran)], verdict),
        product=_judged(kept(events.ProductStarted), verdict),
        verdict=verdict.verdict if verdict else finished.verdict if finished else "",
        why=verdict.why if verdict else "",
        vacuous=frozenset(verdict.vacuous if verdict else ()),
        finished=finished,
        duration=clock[-1] if clock else 0.0,
        reflections=sum(end.reflected for end in every(events.PhaseEnded)),
        utterances=len(calls) + len(questions(records)),
    )


def is_baseline(ran: events.TestsRan) -> bool:
    """Whether the tests ran on the empty project, where they must fail; the place shows it."""
    return any(segment.name == places.BASELINE for segment in places.parse(ran.place)[-1:])


def questions(records: Iterable[Record]) -> dict[int, str]:
    """By the number of a call's record: its question, if no model wrote it (a phase's opening, or a repeated request).
    In a conversation of two models, a question is the other one's answer, and the log holds it as that.
    """
    stored: dict[str, events.MessageStored] = {}
    users: dict[str, str] = {}
    spoken: set[str] = set()
    found: dict[int, str] = {}
    for record in records:
        event = record.event
        if isinstance(event, events.MessageStored):
            stored[event.id] = event
        elif isinstance(event, events.PhaseBegan):
            users[event.place] = event.user if event.user != event.assistant else ""
        elif isinstance(event, events.ModelAnswered):
            question = stored.get(event.messages[-1]) if event.messages else None
            replies = event.role == places.nearest(users, event.place)
            if question and question.role == "user" and not replies and _beginning(question.content) not in spoken:
                found[record.n] = question.content
            spoken.add(_beginning(event.text))
    return found


def _beginning(text: str) -> str:
    """Enough of a text to recognise it, even if its end was cut for a prompt."""
    return text.strip()[:1000]


def _work(calls: Sequence[events.ModelAnswered]) -> CallTotals:
    costs = [call.cost for call in calls]
    priced = [cost for cost in costs if cost is not None]
    return CallTotals(
        calls=len(calls),
        requests=sum(call.tries for call in calls),
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        completion_tokens=sum(call.completion_tokens for call in calls),
        cached_tokens=sum(call.cached_tokens or 0 for call in calls),
        estimated=sum(call.estimated for call in calls),
        cut=sum(call.finish_reason == "length" and not call.stopped for call in calls),
        stopped=sum(bool(call.stopped) for call in calls),
        seconds=sum(call.seconds for call in calls),
        writing=sum(call.seconds - (call.first_token or 0.0) for call in calls),
        cost=sum(priced) if len(priced) == len(costs) else None,
    )


def _voices(calls: Iterable[events.ModelAnswered]) -> tuple[Responder, ...]:
    theirs: dict[tuple[str, str, str], list[events.ModelAnswered]] = {}
    for call in calls:
        theirs.setdefault((call.role, call.endpoint, call.model), []).append(call)
    return tuple(Responder(*who, _work(spoken)) for who, spoken in theirs.items())


def _judged(seen: Sequence[E], verdict: events.VerdictReached | None) -> E | None:
    """The last of these for the version that the verdict covers; if there is none, the last of all."""
    of_version = [one for one in seen if verdict and one.digest == verdict.version]
    return next(reversed(of_version or seen), None)


def _files(records: Sequence[Record]) -> tuple[events.FileWritten, ...]:
    """The last version of each file that still exists."""
    files: dict[str, events.FileWritten] = {}
    for record in records:
        if isinstance(record.event, events.FileWritten):
            files[record.event.path] = record.event
        elif isinstance(record.event, events.FileRemoved):
            files.pop(record.event.path, None)
    return tuple(files.values())


def _phases(
    records: Sequence[Record], clock: Sequence[float], calls: Iterable[events.ModelAnswered]
) -> tuple[PhaseSummary, ...]:
    began: dict[str, tuple[events.PhaseBegan, float]] = {}
    ended: dict[str, tuple[events.PhaseEnded, float]] = {}
    for record, active in zip(records, clock, strict=True):
        if isinstance(record.event, events.PhaseBegan):
            began[record.event.place] = record.event, active
        elif isinstance(record.event, events.PhaseEnded):
            ended[record.event.place] = record.event, active
    theirs: dict[str, list[events.ModelAnswered]] = {place: [] for place in began}
    for call in calls:
        found = places.nearest(theirs, call.place)
        if found is not None:
            found.append(call)
    phases = []
    for place, (begin, start) in began.items():
        end, stop = ended.get(place, (None, clock[-1]))
        phases.append(
            PhaseSummary(
                place=place,
                name=begin.phase,
                assistant=begin.assistant,
                user=begin.user,
                work=_work(theirs[place]),
                seconds=stop - start,
                ended=end is not None,
                conclusion=end.conclusion if end else "",
                reflected=end is not None and end.reflected,
            )
        )
    return tuple(phases)
