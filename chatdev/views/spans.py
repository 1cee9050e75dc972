"""A run as spans: a fold over the log, by OpenTelemetry's conventions for generative AI.

    invoke_workflow COMPANY       the run, from its start to its verdict; sent when it is finished
      attempt 1                   each process that worked on it
        phase Coding              a phase, or the part of it that this attempt worked on
          chat MODEL              one call; its attributes count its retries
        sandbox tests             the product's tests; "sandbox start": the product was started and watched

Names of attributes: semantic-conventions-genai 0.1 (``gen_ai.*``), semantic conventions 1.45 (``server.*``,
``error.type``); names that they do not define begin with ``chatdev.``. A span has no text of a message, a task or a
program's output. Ids are derived from the run and the place, so all attempts at a run form one trace.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from chatdev.journal import events, places
from chatdev.journal.store import Record
from chatdev.views import formatting
from chatdev.views.summary import is_baseline

Value = str | int | float | bool | Sequence[str]
Kind = Literal["client", "internal"]
_Lasting = events.ModelAnswered | events.TestsRan | events.ProductStarted
"""Effects that have a duration."""
_PORTS = {"http": 80, "https": 443}


class Span(msgspec.Struct, frozen=True):
    """One span that has ended. Ids in OpenTelemetry's widths, 128 and 64 bits; times in seconds since 1970. ``error``
    is empty on success."""

    trace: int
    id: int
    parent: int | None
    name: str
    kind: Kind
    start: float
    end: float
    attributes: Mapping[str, Value]
    error: str = ""


class _Open(msgspec.Struct):
    """A span that has begun."""

    id: int
    parent: int
    name: str
    start: float
    attributes: dict[str, Value]


class Spans:
    """Takes the records of a run in order and returns the spans that each of them ends.

    ``before`` is what the log already held: on a resume, the phases that an earlier attempt began. ``left`` are the
    spans that a killed attempt could not end; they end with its last record.
    """

    def __init__(self, before: Sequence[Record] = ()) -> None:
        self._run: tuple[events.RunStarted, float] | None = None
        self._attempt: tuple[events.AttemptStarted, _Open] | None = None
        self._phases: dict[str, events.PhaseBegan] = {}
        self._open: dict[str, _Open] = {}
        self._now = 0.0
        for record in before:
            self.add(record)
        self.left = tuple(self._close("killed"))
        if self.left and self.left[-1].end - self.left[-1].start < 1:
            self.left = ()  # a forked log holds another run's attempts, all at the same moment

    def add(self, record: Record) -> list[Span]:
        """The spans that this record ends, inner ones first."""
        self._now = record.at
        event = record.event
        match event:
            case events.RunStarted():
                self._run = event, record.at
            case events.AttemptStarted():
                self._begin(event)
            case events.PhaseBegan():
                self._phases[event.place] = event
                self._phase(event.place, record.at)
            case events.ModelAnswered():
                return [self._leaf(event, f"chat {event.asked or event.model}", "client", self._call(event))]
            case events.TestsRan():
                trouble = "lacks" if event.lacks else "trouble" if event.trouble else ""
                return [self._leaf(event, "sandbox tests", "internal", _tests(event), trouble)]
            case events.ProductStarted():
                crashed = event.how if event.how in ("crashed", "missing") else ""
                return [self._leaf(event, "sandbox start", "internal", _start(event), crashed)]
            case events.PhaseEnded():
                self._phases.pop(event.place, None)
                return self._close_phases(event.place)
            case events.AttemptStopped():
                return self._close(event.error or "_OTHER")
            case events.RunFinished():
                return [*self._close(), self._whole(event)]
            case _:
                pass
        return []

    @property
    def _trace(self) -> str:
        """The run's folder name and start time. The time is needed since another machine may use the same name."""
        assert self._run is not None
        start, at = self._run
        return f"{start.name}_{start.org}_{start.stamp}_{at:.3f}"

    def _id(self, *names: object) -> int:
        """Never 0: OpenTelemetry treats 0 as a missing id."""
        digest = hashlib.sha256("\n".join((self._trace, *map(str, names))).encode("utf-8", "replace")).digest()
        return int.from_bytes(digest[: 8 if names else 16], "big") or 1

    def _begin(self, event: events.AttemptStarted) -> None:
        attributes: dict[str, Value] = {"chatdev.attempt": event.number, "gen_ai.request.model": event.model}
        attributes |= _address(event.endpoint) | {"chatdev.sandbox": event.sandbox}
        span = _Open(
            self._id("attempt", event.number), self._id("run"), f"attempt {event.number}", self._now, attributes
        )
        self._attempt, self._open = (event, span), {}

    def _parent(self, place: str, start: float) -> _Open:
        """The span of the phase that holds a place (an earlier attempt may have begun it), else the attempt's span."""
        phase = places.nearest({place: place for place in self._phases}, place)
        if phase is not None:
            return self._phase(phase, start)
        assert self._attempt is not None
        return self._attempt[1]

    def _phase(self, place: str, start: float) -> _Open:
        if place not in self._open:
            assert self._attempt is not None
            began, above = self._phases[place], self._parent(places.ancestor(place), start)
            attributes: dict[str, Value] = {"chatdev.phase": began.phase, "chatdev.place": place}
            attributes |= {"gen_ai.agent.name": began.assistant} if began.assistant else {}
            name = self._id("phase", self._attempt[0].number, place)
            self._open[place] = _Open(name, above.id, f"phase {began.phase}", max(start, above.start), attributes)
        return self._open[place]

    def _leaf(self, event: _Lasting, name: str, kind: Kind, attributes: dict[str, Value], error: str = "") -> Span:
        start = self._now - max(event.seconds, 0.0)
        above = self._parent(event.place, start)
        return Span(
            trace=self._id(),
            id=self._id(type(event).__name__, event.place),
            parent=above.id,
            name=name,
            kind=kind,
            start=max(start, above.start),
            end=self._now,
            attributes=attributes | {"chatdev.place": event.place} | ({"error.type": error} if error else {}),
            error=error,
        )

    def _call(self, event: events.ModelAnswered) -> dict[str, Value]:
        attempt = self._attempt[0] if self._attempt else None
        engine = attempt.engine if attempt and attempt.endpoint == event.endpoint else ""
        optional = {
            "gen_ai.request.temperature": event.temperature,
            "gen_ai.request.max_tokens": event.max_tokens or None,
            "gen_ai.response.id": event.answer_id or None,
            "gen_ai.response.time_to_first_chunk": event.first_token,
            "gen_ai.usage.cache_read.input_tokens": event.cached_tokens,
            "chatdev.cost_usd": event.cost,
        }
        address = _address(event.endpoint)
        at_openai = str(address.get("server.address", "")).endswith("openai.com")
        return {
            "gen_ai.operation.name": "chat",
            # A server that speaks OpenAI's protocol without naming its engine counts as OpenAI.
            "gen_ai.provider.name": "openai" if at_openai else engine or "openai",
            "gen_ai.request.model": event.asked or event.model,
            "gen_ai.response.model": event.model,
            "gen_ai.response.finish_reasons": [event.finish_reason],
            "gen_ai.usage.input_tokens": event.prompt_tokens,
            "gen_ai.usage.output_tokens": event.completion_tokens,
            "gen_ai.agent.name": event.role,
            "chatdev.tries": event.tries,
            **address,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _close_phases(self, above: str = "", error: str = "") -> list[Span]:
        """End the open phases at and below a place, or all."""
        ending = [place for place in self._open if places.contains(above, place)]
        return [self._ended(self._open.pop(place), error) for place in sorted(ending, key=len, reverse=True)]

    def _close(self, error: str = "") -> list[Span]:
        """End the attempt and the phases that it left open."""
        spans = self._close_phases(error=error)
        if self._attempt:
            spans.append(self._ended(self._attempt[1], error))
        self._attempt = None
        return spans

    def _ended(self, span: _Open, error: str) -> Span:
        more = {"error.type": error} if error else {}
        return Span(
            self._id(),
            span.id,
            span.parent,
            span.name,
            "internal",
            span.start,
            self._now,
            span.attributes | more,
            error,
        )

    def _whole(self, event: events.RunFinished) -> Span:
        assert self._run is not None
        start, at = self._run
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.agent.name": start.company,
            "chatdev.run": f"{start.name}_{start.org}_{start.stamp}",
            "chatdev.version": start.version,
            "chatdev.verdict": event.verdict.partition(" (")[0],
        }
        return Span(
            self._id(), self._id("run"), None, f"invoke_workflow {start.company}", "internal", at, self._now, attributes
        )


def _address(endpoint: str) -> dict[str, Value]:
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    return {"server.address": host, **({"server.port": port} if port else {})} if host else {}


def _tests(event: events.TestsRan) -> dict[str, Value]:
    passed, total = formatting.score(event)
    return {"chatdev.tests.passed": passed, "chatdev.tests.total": total, "chatdev.tests.baseline": is_baseline(event)}


def _start(event: events.ProductStarted) -> dict[str, Value]:
    status = {} if event.exit_status is None else {"process.exit.code": event.exit_status}
    return {"chatdev.product": event.how, **status}
