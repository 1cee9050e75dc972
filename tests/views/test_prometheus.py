from helpers import exposition
from sample_log import CPO, Log, answer, begun, finished, hostile, worked

from chatdev.journal import events
from chatdev.views.prometheus import Metrics


def test_a_run_comes_to_counters_by_phase_role_and_model() -> None:
    families = exposition.read(Metrics(finished()).render())

    calls = families["chatdev_calls_total"]
    assert calls.value("chatdev_calls_total") == 5
    assert calls.value("chatdev_calls_total", phase="DemandAnalysis", role=CPO, finish_reason="stop") == 1
    assert families["chatdev_prompt_tokens_total"].value("chatdev_prompt_tokens_total", model="qwen-coder") == 500
    assert families["chatdev_completion_tokens_total"].value("chatdev_completion_tokens_total", phase="Coding") == 100
    assert families["chatdev_cached_prompt_tokens_total"].value("chatdev_cached_prompt_tokens_total") == 64
    assert families["chatdev_retries_total"].value("chatdev_retries_total", model="qwen-coder") == 1
    assert families["chatdev_attempts_total"].value("chatdev_attempts_total") == 2
    assert families["chatdev_files_written_total"].value("chatdev_files_written_total") == 6
    assert families["chatdev_phases_ended_total"].value("chatdev_phases_ended_total", phase="Coding") == 1
    assert families["chatdev_sandbox_runs_total"].value("chatdev_sandbox_runs_total", what="tests") == 2
    assert families["chatdev_tests"].value("chatdev_tests", outcome="passed") == 3
    assert families["chatdev_run_info"].value("chatdev_run_info", run="Calc_Org_20251125031807", company="default") == 1


def test_times_are_histograms_in_seconds() -> None:
    families = exposition.read(Metrics(finished()).render())

    first = families["chatdev_time_to_first_token_seconds"]
    assert first.value("chatdev_time_to_first_token_seconds_bucket", model="qwen-coder", le="0.25") == 0
    assert first.value("chatdev_time_to_first_token_seconds_bucket", model="qwen-coder", le="0.5") == 5
    assert first.value("chatdev_time_to_first_token_seconds_sum", model="qwen-coder") == 2.5
    assert families["chatdev_call_duration_seconds"].value("chatdev_call_duration_seconds_sum") == 15
    assert (
        families["chatdev_sandbox_duration_seconds"].value("chatdev_sandbox_duration_seconds_count", what="start") == 1
    )


def test_a_call_that_was_not_streamed_has_no_first_token() -> None:
    log = begun().add(answer("Coding.1/Programmer.1/ask.1", "Programmer", "x", first_token=None, seconds=900.0))
    families = exposition.read(Metrics(log.records).render())
    assert families["chatdev_time_to_first_token_seconds"].samples == {}
    assert families["chatdev_call_duration_seconds"].value("chatdev_call_duration_seconds_bucket", le="600") == 0
    assert families["chatdev_call_duration_seconds"].value("chatdev_call_duration_seconds_bucket", le="+Inf") == 1


def test_open_phases_errors_and_verdicts() -> None:
    log = begun().add(events.PhaseBegan("Coding.1", "Coding"))
    log.add(events.AttemptStopped(1, "no route", "Unreachable"))
    families = exposition.read(Metrics(log.records).render())
    assert families["chatdev_phases_open"].value("chatdev_phases_open", phase="Coding") == 1
    assert families["chatdev_errors_total"].value("chatdev_errors_total", type="Unreachable") == 1
    assert families["chatdev_verdicts_total"].samples == {}

    families = exposition.read(Metrics(finished("failed (1 of 3)")).render())
    assert families["chatdev_verdicts_total"].value("chatdev_verdicts_total", verdict="failed") == 1


def test_tests_that_fail_without_the_product_as_they_should_are_no_failed_tests() -> None:
    assert exposition.read(Metrics(worked().records).render())["chatdev_tests"].samples == {}


def test_one_record_at_a_time_comes_to_the_same() -> None:
    metrics = Metrics()
    before = exposition.read(metrics.render())
    for record in finished():
        metrics.count(record)
    assert metrics.render() == Metrics(finished()).render()
    assert before.keys() == exposition.read(metrics.render()).keys()


def test_nothing_that_comes_from_outside_breaks_the_format() -> None:
    quotes = Log().add(answer("P.1/r.1/ask.1", 'a "role"\\', "x", model='m"\n}')).records
    for records in (hostile(), quotes, worked().records):
        exposition.read(Metrics(records).render())
