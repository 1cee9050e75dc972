from collections.abc import Sequence

from sample_log import LOCAL, PAID, PROGRAMMER, Log, answer, begun, finished, hostile, results

from chatdev.journal import events
from chatdev.journal.store import Record
from chatdev.views.spans import Span, Spans


def spans_of(records: Sequence[Record], before: Sequence[Record] = ()) -> list[Span]:
    fold = Spans(before)
    return [*fold.left, *(span for record in records for span in fold.add(record))]


def named(spans: Sequence[Span], name: str) -> Span:
    (span,) = [span for span in spans if span.name == name]
    return span


def one_call(**more: object) -> list[Record]:
    """A run of one phase with one call in it."""
    log = begun().add(events.PhaseBegan("Coding.1", "Coding", PROGRAMMER))
    log.add(answer("Coding.1/Programmer.1/ask.1", PROGRAMMER, "a secret plan", **more), after=5.0)
    log.add(events.PhaseEnded("Coding.1", "Coding", "a secret end"))
    log.add(events.VerdictReached("Verdict.1", "failed (1 of 2)", "a secret why"))
    return log.add(events.RunFinished("Verdict.1", "failed (1 of 2)")).records


def test_run_attempt_phase_and_call_stand_in_each_other_with_their_times() -> None:
    spans = spans_of(one_call())
    _, phase, attempt, run = spans
    assert [span.name for span in spans] == ["chat qwen-coder", "phase Coding", "attempt 1", "invoke_workflow default"]
    assert [span.parent for span in spans] == [phase.id, attempt.id, run.id, None]
    assert len({span.id for span in spans}) == 4
    assert len({span.trace for span in spans}) == 1
    assert run.trace.bit_length() > 64
    start = 1_764_000_001.0
    assert [(span.start - start, span.end - start) for span in spans] == [(4, 7), (2, 8), (1, 10), (0, 10)]
    assert [span.kind for span in spans] == ["client", "internal", "internal", "internal"]


def test_a_call_has_the_attributes_of_the_conventions() -> None:
    call = spans_of(one_call(temperature=0.2, max_tokens=4096, answer_id="chatcmpl-7", cached_tokens=64, tries=2))[0]
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "qwen-coder",
        "gen_ai.response.model": "qwen-coder",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.agent.name": PROGRAMMER,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.response.id": "chatcmpl-7",
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.cache_read.input_tokens": 64,
        "server.address": "localhost",
        "server.port": 8000,
        "chatdev.tries": 2,
        "chatdev.cost_usd": 0.0,
        "chatdev.place": "Coding.1/Programmer.1/ask.1",
    }


def test_the_provider_is_the_engine_where_the_server_tells_it_and_openai_at_openai() -> None:
    log = begun().add(events.AttemptStarted(1, LOCAL, "served-name", None, "plain", engine="vllm"))
    (local,) = spans_of(
        log.add(answer("a.1/r.1/ask.1", "r", "x", asked="served-name", model="served-name@main")).records
    )
    assert local.attributes["gen_ai.provider.name"] == "vllm"
    assert local.name == "chat served-name"
    assert local.attributes["gen_ai.response.model"] == "served-name@main"
    (paid,) = spans_of(log.add(answer("b.1/r.1/ask.1", "r", "x", endpoint=PAID, model="gpt-x")).records)[1:]
    assert paid.attributes["gen_ai.provider.name"] == "openai"
    assert (paid.name, paid.attributes["server.port"]) == ("chat gpt-x", 443)


def test_no_word_of_a_message_is_in_a_span() -> None:
    assert "secret" not in repr(spans_of(one_call()))
    for span in spans_of(finished()):
        assert "console" not in repr(span)
        assert "create a calculator" not in repr(span)


def test_runs_in_the_sandbox_say_how_they_went_and_stand_in_their_phase_or_attempt() -> None:
    spans = spans_of(finished("failed (2 of 3)", "passed", "failed", "passed"))
    baseline, judged = [span for span in spans if span.name == "sandbox tests"]
    started = named(spans, "sandbox start")
    assert baseline.attributes["chatdev.tests.baseline"] is True
    assert (judged.attributes["chatdev.tests.passed"], judged.attributes["chatdev.tests.total"]) == (2, 3)
    assert round(judged.end - judged.start, 3) == 0.4
    assert (started.attributes["chatdev.product"], started.attributes["process.exit.code"]) == ("exited", 0)
    assert judged.parent == named(spans, "attempt 2").id
    assert named(spans, "invoke_workflow default").attributes["chatdev.verdict"] == "failed"


def test_two_runs_in_the_sandbox_at_one_place_are_two_spans() -> None:
    log = begun().add(results("Verdict.1", "passed", trouble="it left early"))
    log.add(events.ProductStarted("Verdict.1", "d", "crashed", None, "boom", seconds=0.1))
    tests, started = spans_of(log.records)
    assert tests.id != started.id
    assert (tests.error, started.error) == ("trouble", "crashed")
    assert started.attributes["error.type"] == "crashed"


def test_an_attempt_that_gave_up_ends_what_was_open_with_its_error() -> None:
    log = begun().add(events.PhaseBegan("Loop.1/Coding.1", "Coding"))
    log.add(events.PhaseBegan("Loop.1/Coding.1/Inner.1", "Inner"))
    spans = spans_of(log.add(events.AttemptStopped(1, "no route to 10.0.0.7", "Unreachable")).records)
    assert [span.name for span in spans] == ["phase Inner", "phase Coding", "attempt 1"]
    assert spans[0].parent == spans[1].id
    assert {span.error for span in spans} == {"Unreachable"}
    assert {span.attributes["error.type"] for span in spans} == {"Unreachable"}


def test_a_resume_is_another_attempt_in_the_same_trace_and_takes_up_the_phase() -> None:
    log = begun().add(events.PhaseBegan("Coding.1", "Coding"))
    log.add(events.AttemptStopped(1, "interrupted", "CancelledError"))
    before = list(log.records)
    first = spans_of(before)
    log.add(events.AttemptStarted(2, LOCAL, "qwen-coder", None, "plain"), after=3600)
    log.add(answer("Coding.1/Programmer.1/ask.1", PROGRAMMER, "x"), after=5)
    log.add(events.PhaseEnded("Coding.1", "Coding"))
    second = spans_of(log.add(events.RunFinished("Verdict.1", "passed")).records[len(before) :], before)

    call, phase, attempt, run = second
    assert [span.name for span in second] == ["chat qwen-coder", "phase Coding", "attempt 2", "invoke_workflow default"]
    assert {span.trace for span in first} == {span.trace for span in second}
    assert not {span.id for span in first} & {span.id for span in second}
    assert (call.parent, phase.parent, attempt.parent) == (phase.id, attempt.id, run.id)
    assert phase.start == call.start
    assert phase.start >= attempt.start
    assert {span.parent for span in first} == {run.id, first[1].id}


def test_the_spans_of_a_killed_attempt_are_made_up_for_by_the_next() -> None:
    before = begun().add(events.PhaseBegan("Coding.1", "Coding"), after=5.0).records
    phase, attempt = spans_of([], before)
    assert (phase.name, attempt.name, phase.error) == ("phase Coding", "attempt 1", "killed")
    assert attempt.end == before[-1].at


def test_another_runs_attempts_in_a_forked_log_are_no_killed_ones() -> None:
    start, attempt = begun().records
    assert spans_of([], [start, Record(2, start.at, attempt.event)]) == []


def test_a_call_does_not_begin_before_its_phase() -> None:
    log = begun().add(events.PhaseBegan("Coding.1", "Coding"))
    (call,) = spans_of(log.add(answer("Coding.1/r.1/ask.1", "r", "x", seconds=60.0)).records)
    assert call.start == log.records[2].at


def test_whatever_comes_from_outside_is_taken() -> None:
    spans = spans_of(hostile())
    assert len(spans) == 6
    odd = begun().add(answer("a.1/r.1/ask.1", "r", "x", endpoint="http://[bad"))
    assert "server.address" not in spans_of(odd.records)[0].attributes
    nowhere = Log().add(begun().records[0].event).add(events.AttemptStarted(1, "", "stub", None, "plain"))
    nowhere.add(answer("a.1/r.1/ask.1", "r", "x", endpoint=""))
    assert "server.address" not in spans_of(nowhere.records)[0].attributes
