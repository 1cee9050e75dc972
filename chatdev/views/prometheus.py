"""A run as metrics: a fold over the log, in Prometheus' text format (version 0.0.4).

Counters cover the whole run, earlier attempts included. Labels hold the company's names (phases, roles) and the
server's model names, never text that a model wrote.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from chatdev.journal import events, places
from chatdev.journal.store import Record
from chatdev.views.summary import is_baseline
from chatdev.views.text import one_line

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the buckets: from an instant answer of a small model to a whole file from a busy server."""

Labels = tuple[tuple[str, str], ...]


class _Histogram(msgspec.Struct):
    """Seconds, by bucket; the last bucket has no upper bound."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        found = next((number for number, bound in enumerate(_SECONDS) if seconds <= bound), len(_SECONDS))
        self.buckets[found] += 1
        self.total += seconds


class Metrics:
    """Takes the records of a run in order, the old ones first, and renders the resulting metrics."""

    def __init__(self, before: Sequence[Record] = ()) -> None:
        self._info: Labels = ()
        self._phases: dict[str, str] = {}
        self._calls: Counter[Labels] = Counter()
        self._tokens: dict[str, Counter[Labels]] = {
            "prompt": Counter(),
            "cached_prompt": Counter(),
            "completion": Counter(),
        }
        self._retries: Counter[Labels] = Counter()
        self._attempts = 0
        self._errors: Counter[Labels] = Counter()
        self._ended: Counter[Labels] = Counter()
        self._sandbox: Counter[Labels] = Counter()
        self._verdicts: Counter[Labels] = Counter()
        self._tests: Counter[Labels] = Counter()
        self._racing: dict[str, events.TestsRan] = {}
        self._files = 0
        self._durations: dict[str, dict[Labels, _Histogram]] = {"call": {}, "first": {}, "sandbox": {}}
        for record in before:
            self.count(record)

    def count(self, record: Record) -> None:
        """Count one record."""
        event = record.event
        match event:
            case events.RunStarted():
                run = f"{event.name}_{event.org}_{event.stamp}"
                self._info = _labels(run=run, company=event.company, version=event.version)
            case events.AttemptStarted():
                self._attempts += 1
            case events.AttemptStopped():
                self._errors[_labels(type=event.error or "unknown")] += 1
            case events.PhaseBegan():
                self._phases[event.place] = event.phase
            case events.PhaseEnded():
                self._phases.pop(event.place, None)
                self._ended[_labels(phase=event.phase)] += 1
            case events.ModelAnswered():
                self._call(event)
            case events.TestsRan():
                if places.candidate(event.place):
                    self._racing[event.place] = event
                elif not is_baseline(event):
                    self._count(event)
                self._ran("tests", event.seconds)
            case events.RaceDecided():
                winner = places.below(event.place, places.CANDIDATE, event.winner)
                if ran := self._racing.get(places.below(winner, places.TESTS)):
                    self._count(ran)
            case events.ProductStarted():
                self._ran("start", event.seconds)
            case events.FileWritten():
                self._files += 1
            case events.RunFinished():
                self._verdicts[_labels(verdict=event.verdict.partition(" (")[0])] += 1
            case _:
                pass

    def _count(self, event: events.TestsRan) -> None:
        self._tests = Counter(_labels(outcome=result.outcome) for result in event.results)

    def _call(self, event: events.ModelAnswered) -> None:
        phase = places.nearest(self._phases, event.place) or ""
        who = _labels(phase=phase, role=event.role, model=event.model)
        self._calls[(*who, *_labels(finish_reason=event.finish_reason))] += 1
        self._tokens["prompt"][who] += event.prompt_tokens
        self._tokens["cached_prompt"][who] += event.cached_tokens or 0
        self._tokens["completion"][who] += event.completion_tokens
        model = _labels(model=event.model)
        self._retries[model] += event.tries - 1
        self._observe("call", model, event.seconds)
        if event.first_token is not None:
            self._observe("first", model, event.first_token)

    def _ran(self, what: str, seconds: float) -> None:
        self._sandbox[_labels(what=what)] += 1
        self._observe("sandbox", _labels(what=what), seconds)

    def _observe(self, what: str, labels: Labels, seconds: float) -> None:
        self._durations[what].setdefault(labels, _Histogram()).observe(seconds)

    def render(self) -> str:
        """The metrics as text, names and units by Prometheus' conventions."""
        return "".join(f"{each}\n" for each in self._lines())

    def _lines(self) -> Iterator[str]:
        phases = Counter(_labels(phase=phase) for phase in self._phases.values())
        yield from _family("chatdev_run_info", "gauge", "The run in progress.", {self._info: 1} if self._info else {})
        yield from _family("chatdev_attempts_total", "counter", "Attempts at the run.", {(): self._attempts})
        yield from _family("chatdev_errors_total", "counter", "Attempts that stopped early, by error.", self._errors)
        yield from _family("chatdev_phases_open", "gauge", "Phases in progress.", phases)
        yield from _family("chatdev_phases_ended_total", "counter", "Phases that ended.", self._ended)
        yield from _family("chatdev_calls_total", "counter", "Model answers.", self._calls)
        yield from _family("chatdev_retries_total", "counter", "Requests after the first one of a call.", self._retries)
        for kind, counts in self._tokens.items():
            words = kind.replace("_", " ")
            yield from _family(f"chatdev_{kind}_tokens_total", "counter", f"Tokens: {words}.", counts)
        yield from _family(
            "chatdev_files_written_total", "counter", "Product files written, every version counted.", {(): self._files}
        )
        yield from _family("chatdev_sandbox_runs_total", "counter", "Programs run in the sandbox.", self._sandbox)
        yield from _family("chatdev_tests", "gauge", "Results of the latest acceptance test run.", self._tests)
        yield from _family("chatdev_verdicts_total", "counter", "Runs that reached a verdict.", self._verdicts)
        for what, name, help_text in (
            ("call", "chatdev_call_duration_seconds", "Duration of the request that was answered."),
            ("first", "chatdev_time_to_first_token_seconds", "Time from a request to the first token of its answer."),
            ("sandbox", "chatdev_sandbox_duration_seconds", "Duration of programs in the sandbox."),
        ):
            yield from _histograms(name, help_text, self._durations[what])


def _labels(**labels: str) -> Labels:
    return tuple((name, one_line(value, 100)) for name, value in labels.items())


def _family(name: str, kind: str, help_text: str, samples: Mapping[Labels, float]) -> Iterable[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    yield from (_sample(name, labels, value) for labels, value in samples.items())


def _histograms(name: str, help_text: str, histograms: Mapping[Labels, _Histogram]) -> Iterator[str]:
    yield from _family(name, "histogram", help_text, {})
    for labels, histogram in histograms.items():
        below = 0
        for bound, count in zip((*(f"{bound:g}" for bound in _SECONDS), "+Inf"), histogram.buckets, strict=True):
            below += count
            yield _sample(f"{name}_bucket", (*labels, ("le", bound)), below)
        yield _sample(f"{name}_sum", labels, histogram.total)
        yield _sample(f"{name}_count", labels, below)


def _sample(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
