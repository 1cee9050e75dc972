import pytest
from sample_log import CEO, CPO, LOCAL, PAID, PROGRAMMER, Log, answer, begun, finished, results, worked, written

from chatdev.journal import events
from chatdev.views import summary


def test_an_empty_log_gives_an_empty_summary() -> None:
    run = summary.fold([])

    assert (run.started, run.tests, run.verdict, run.folder, run.stopped) == (None, None, "", "", None)
    assert (run.work.calls, run.work.cost, run.duration, run.utterances) == (0, 0.0, 0.0, 0)


def test_a_finished_run_tells_its_verdict_its_tests_and_its_folder() -> None:
    run = summary.fold(finished("failed (1 of 2)", "passed", "failed", vacuous=("a",)))

    assert (run.verdict, run.vacuous, run.folder) == ("failed (1 of 2)", frozenset("a"), "Calc_Org_20251125031807")
    assert run.tests is not None
    assert [result.outcome for result in run.tests.results] == ["passed", "failed"]
    assert run.finished is not None


def test_a_run_that_ended_without_being_judged_has_the_verdict_of_its_end() -> None:
    run = summary.fold(begun().add(events.RunFinished("Verdict.1", "not run (no program)")).records)

    assert (run.verdict, run.why) == ("not run (no program)", "")


def test_tests_of_the_empty_project_are_not_the_tests_of_the_product() -> None:
    assert summary.fold(begun().add(results("TestWriting.1/baseline.2", "failed")).records).tests is None


def test_the_gap_between_two_attempts_is_no_time_of_the_run() -> None:
    log = begun().add(events.AttemptStopped(1, "interrupted"), after=10)
    log.add(events.AttemptStarted(2, LOCAL, "m", None, "plain"), after=5_000).add(results("t.1", "passed"), after=4)

    assert summary.fold(log.records).duration == pytest.approx(1 + 10 + 4)


def test_a_clock_that_goes_back_takes_no_time_away() -> None:
    log = begun().add(results("t.1", "passed"), after=-50).add(results("t.2", "passed"), after=3)

    assert summary.fold(log.records).duration == pytest.approx(1 + 3)


def test_a_phase_holds_its_calls_and_leaves_out_the_gap_inside_it() -> None:
    demand, coding, mending = summary.fold(worked().records).phases

    assert (demand.work.calls, demand.conclusion, demand.reflected, demand.ended) == (3, "application", True, True)
    assert (coding.work.calls, coding.work.tokens, coding.seconds) == (2, 300, 8.0)
    assert (mending.name, mending.work.calls) == ("TestModification", 0)


def test_phases_side_by_side_keep_their_calls_apart() -> None:
    log = begun()
    log.add(events.PhaseBegan("together.1/A.1", "A", "a")).add(events.PhaseBegan("together.1/B.1", "B", "b"))
    log.add(answer("together.1/A.1/a.1/ask.1", "a", "x")).add(answer("together.1/B.1/b.1/ask.1", "b", "y"))
    log.add(answer("elsewhere.1/ask.1", "c", "z"))
    run = summary.fold(log.records)

    assert [(phase.name, phase.work.calls, phase.ended) for phase in run.phases] == [("A", 1, False), ("B", 1, False)]
    assert run.work.calls == 3


def test_a_file_appears_once_as_it_was_last_written() -> None:
    run = summary.fold(worked().records)

    assert [file.path for file in run.files].count("main.py") == 1
    assert {file.path: file.lines for file in run.files}["main.py"] == 31


def test_every_role_names_who_answered_for_it() -> None:
    log = begun().add(answer("a.1", PROGRAMMER, "x")).add(answer("a.2", CEO, "x")).add(answer("a.3", PROGRAMMER, "x"))
    log.add(answer("a.4", PROGRAMMER, "x", endpoint=PAID, model="gpt", cost=0.25))
    voices = summary.fold(log.records).voices

    assert [(voice.role, voice.model, voice.work.calls) for voice in voices] == [
        (PROGRAMMER, "qwen-coder", 2),
        (CEO, "qwen-coder", 1),
        (PROGRAMMER, "gpt", 1),
    ]
    assert voices[0].work.rate == pytest.approx(50 / 2.5)


def test_the_cost_is_unknown_as_soon_as_one_price_is() -> None:
    log = begun().add(answer("a.1", CPO, "x", cost=0.25)).add(answer("a.2", CPO, "x", cost=0.5))
    assert summary.fold(log.records).work.cost == 0.75

    log.add(answer("a.3", CPO, "x", cost=None))
    assert summary.fold(log.records).work.cost is None


def test_estimates_cuts_and_repeated_requests_are_counted() -> None:
    log = begun().add(answer("a.1", CPO, "x", estimated=True, finish_reason="length", tries=3, seconds=0.0))
    work = summary.fold(log.records).work

    assert (work.estimated, work.cut, work.requests) == (1, 1, 3)
    assert summary.CallTotals().rate == 0.0


def test_the_last_attempt_says_how_it_stopped() -> None:
    log = begun().add(events.AttemptStopped(1, "no server"))
    assert summary.fold(log.records).stopped == events.AttemptStopped(1, "no server")

    log.add(events.AttemptStarted(2, LOCAL, "m", None, "plain"))
    assert summary.fold(log.records).stopped is None


def test_only_questions_that_no_model_wrote_are_utterances_of_their_own() -> None:
    log = Log().add(events.PhaseBegan("P.1", "P", CPO, CEO))
    log.ask("P.1/a.1", CPO, "the opening", "my answer")
    log.ask("P.1/a.2", CEO, "the opening, and: my answer. Agreed?", "  not quite ")
    log.ask("P.1/a.3", CPO, "not quite", "better")
    log.add(answer("P.1/a.4", CPO, "asked with no message at all"))

    assert list(summary.questions(log.records).values()) == ["the opening"]
    assert summary.fold(log.records).utterances == 5


def test_a_system_message_is_no_question() -> None:
    log = Log().add(events.MessageStored("s", "system", "You are a programmer."))

    assert summary.questions(log.add(answer("a.1", CPO, "x", messages=("s",))).records) == {}


def test_what_an_endpoint_made_us_change_is_named_once() -> None:
    log = (
        begun().add(answer("a.1", CPO, "x", adapted=("no top_p",))).add(answer("a.2", CPO, "x", adapted=("no top_p",)))
    )

    assert summary.fold(log.add(written("f.1", "main.py", 1, 1)).records).adapted == ("no top_p",)
