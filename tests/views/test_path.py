"""The critical path, from logs whose times are known."""

from sample_log import Log, answer, results

from chatdev.journal import events
from chatdev.views import formatting, path, report, show


def whole() -> Log:
    """Ten seconds: two choices at once (1 and 3 s), code (4 s), tests (1 s), and two documents at once (1 and 2 s)."""
    log = Log()
    log.add(events.RunStarted(3, "0", "N", "O", "S", "task", "default", "VLLM"))
    log.add(events.PhaseBegan("A.1", "A"), after=0.0)
    log.add(events.PhaseBegan("B.1", "B"), after=0.0)
    log.add(answer("A.1/X.1/ask.1", "X", "a", seconds=1.0), after=1.0)
    log.add(events.PhaseEnded("A.1", "A"), after=0.0)
    log.add(answer("B.1/Y.1/ask.1", "Y", "b", seconds=3.0), after=2.0)
    log.add(events.PhaseEnded("B.1", "B"), after=0.0)
    log.add(events.PhaseBegan("C.1", "C"), after=0.0)
    log.add(answer("C.1/Z.1/ask.1", "Z", "c", seconds=4.0), after=4.0)
    log.add(events.PhaseEnded("C.1", "C"), after=0.0)
    ran = results("tests.1", "passed")
    log.add(events.TestsRan(ran.place, ran.digest, ran.results, seconds=0.75), after=1.0)
    log.add(answer("together.1/D.1/X.1/ask.1", "X", "d", seconds=1.0), after=1.0)
    log.add(answer("together.1/E.1/Y.1/ask.1", "Y", "e", seconds=2.0), after=1.0)
    return log.add(events.RunFinished("Verdict.1", "passed"), after=0.5)


def test_of_what_ran_at_once_the_last_to_end_is_on_the_path() -> None:
    found = path.critical(whole().records)
    assert [(leg.what, leg.phase) for leg in found.legs] == [
        ("Y", "B"),
        ("Z", "C"),
        ("tests", "tests"),
        ("Y", "together"),
    ]
    assert [round(leg.began, 2) for leg in found.legs] == [0.0, 3.0, 7.25, 8.0]
    assert (found.calls, found.programs, found.rest) == (9.0, 0.75, 0.5)
    assert round(found.between, 2) == 0.75
    assert formatting.critical(found) == "9.0 s in 3 calls, 0.8 s in 1 program run, 0.8 s between them"


def test_branches_of_one_phase_do_not_wait_for_each_other() -> None:
    log = Log()
    log.add(events.PhaseBegan("C.1", "C", candidates=2))
    log.add(answer("C.1/candidate.1/P.1/ask.1", "P", "a", seconds=1.0), after=1.0)
    log.add(answer("C.1/candidate.2/P.1/ask.1", "P", "b", seconds=2.0), after=1.0)
    log.add(answer("C.1/candidate.2/P.1/ask.2", "P", "c", seconds=2.0), after=2.0)
    assert [leg.place for leg in path.critical(log.records).legs] == [
        "C.1/candidate.2/P.1/ask.1",
        "C.1/candidate.2/P.1/ask.2",
    ]


def test_what_takes_no_time_and_an_empty_log_have_an_end() -> None:
    assert path.critical(()).legs == ()
    log = Log()
    for number in range(5):
        log.add(answer(f"A.{number}/X.1/ask.1", "X", "a", seconds=0.0), after=0.0)
    assert len(path.critical(log.records).legs) == 5


def test_report_and_show_tell_it_and_leave_the_shortest_out() -> None:
    text = report.render(whole().records)
    assert "## Critical path" in text
    assert "| 3.0 s | 4.0 s | Z | C |" in text
    assert "path:  9.0 s in 3 calls" in show.render(whole().records)
    log = Log()
    for number in range(23):
        log.add(answer(f"A.{number}/X.1/ask.1", "X", "a", seconds=1.0 + number), after=2.0 + number)
    assert "Not shown: 3 shorter steps." in report.render(log.records)
