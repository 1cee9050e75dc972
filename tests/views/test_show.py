import json

import pytest
from sample_log import begun, finished, hostile, results, worked, written

from chatdev.journal import events
from chatdev.views import lines, show


def told(event: events.Any) -> list[str]:
    return [line.text for line in lines.of(event)]


def test_show_tells_the_verdict_the_phases_the_talk_the_files_and_the_totals() -> None:
    text = show.render(finished()).split("\n")

    assert text[:3] == [
        "Passed: all 3 acceptance tests pass",
        "Every test was run on the last version.",
        "Calc: create a calculator",
    ]
    assert "TestModification, round 2: Software Test Engineer and Programmer" in text
    assert "  Chief Product Officer: A console application.  (100 + 50 tokens, 20/s, 3.0 s)" in text
    assert "  => application  (after a reflection)" in text
    assert "  wrote data.json  +3 -0" in text
    assert "files: 5, with 73 lines" in text
    assert "time:  27.0 s in 2 attempts" in text


def test_an_empty_log_shows_as_no_run() -> None:
    assert show.render([]).startswith("No run: the log is empty\nfiles: 0, with 0 lines\n")


def test_hostile_text_is_shown_clean_and_short() -> None:
    text = show.render(hostile())

    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert max(map(len, text.split("\n"))) < 500


def test_json_holds_the_same_and_marks_the_vacuous_tests() -> None:
    name = "tests/test_calc.py::Calc::test_1"
    facts = json.loads(json.dumps(show.as_json(finished("passed", vacuous=(name,)))))

    assert (facts["run"], facts["verdict"], facts["finished"]) == ("Calc_Org_20251125031807", "passed", True)
    assert [(test["outcome"], test["vacuous"]) for test in facts["tests"]] == [
        ("passed", True),
        ("passed", False),
        ("passed", False),
    ]
    assert (facts["work"]["calls"], facts["work"]["cost"], facts["attempts"]) == (5, 0.0, 2)
    assert facts["answered_by"][0]["model"] == "qwen-coder"
    assert facts["refused"] == [{"path": "../x.py", "why": "it leaves the project"}]


def test_json_of_an_empty_log_has_the_same_fields() -> None:
    assert show.as_json([]).keys() == show.as_json(finished()).keys()


@pytest.mark.parametrize(
    ("stop", "state"),
    [(None, "interrupted; resume with: chatdev resume 'Calc App_1'"), ("no server", "no server; resume with: chatdev")],
)
def test_the_row_of_an_unfinished_run_says_how_to_go_on(stop: str | None, state: str) -> None:
    log = worked()
    if stop:
        log.add(events.AttemptStopped(2, stop))

    assert show.one_line("Calc App_1", log.records).startswith(f"Calc App_1  {state}")


def test_the_row_of_a_finished_run_says_its_verdict_and_what_it_took() -> None:
    assert show.one_line("Calc_1", finished()) == "Calc_1  passed  (5 calls, 750 tokens, 27.0 s)"
    assert show.one_line("Calc_1", []) == "Calc_1  empty  (0 calls, 0 tokens, 0.0 s)"


def test_a_change_shows_its_first_lines_and_counts_the_rest() -> None:
    diff = "--- a.py\n+++ a.py\n@@ -1,9 +1,9 @@\n same\n" + "\n".join(f"-\told {n}\n+\tnew {n}" for n in range(9))
    shown = told(written("f.1", "a.py", 20, 9, 9, diff))

    assert shown[:3] == ["  wrote a.py  +9 -9", "    -   old 0", "    +   new 0"]
    assert (len(shown), shown[-1]) == (14, "    ... 6 more changed lines")


def test_a_new_file_and_one_without_a_diff_show_only_their_length() -> None:
    new = "--- /dev/null\n+++ a.py\n@@ -0,0 +1,2 @@\n+a\n+b"

    assert told(written("f.1", "a.py", 2, 2, 0, new)) == ["  wrote a.py  +2 -0"]
    assert told(written("f.1", "a.py", 2, 2)) == ["  wrote a.py  +2 -0"]


def test_a_short_change_is_shown_whole() -> None:
    assert told(written("f.1", "a.py", 1, 1, 0, "@@ -1 +1,2 @@\n a\n+b")) == ["  wrote a.py  +1 -0", "    +b"]


def test_an_answer_shows_what_it_says_before_its_code() -> None:
    for text, expected in (
        ("Here it is:\n```\nx\n```", "Here it is:"),
        ("```\nx = 1", "``` x = 1"),
        (" \n ", "(nothing)"),
    ):
        (log,) = begun().ask("a.1", "Programmer", "?", text).records[-1:]
        assert told(log.event)[0].startswith(f"  Programmer: {expected}  (")


def test_failed_tests_are_named_up_to_a_number() -> None:
    shown = told(results("t.1", *(["failed"] * 7 + ["passed"]), trouble="out of memory"))  # type: ignore[arg-type]

    assert shown[:3] == [
        "  tests: 1 of 8 pass",
        "    out of memory",
        "    failed tests/test_calc.py::Calc::test_1: 1 != 2",
    ]
    assert shown[-1] == "    ... 2 more"


def test_tests_of_the_empty_project_are_reported_as_such() -> None:
    assert told(results("TestWriting.1/baseline.1", "failed", "passed")) == [
        "  tests without the product: 1 of 2 fail (all should)"
    ]


@pytest.mark.parametrize(
    ("verdict", "style"),
    [("passed", "bold green"), ("failed (1 of 2)", "bold red"), ("not run (needs pygame)", "bold yellow")],
)
def test_a_verdict_has_its_colour(verdict: str, style: str) -> None:
    assert lines.of(events.VerdictReached("v.1", verdict)) == [lines.Line(f"verdict: {verdict}", style, loud=True)]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (events.ProductStarted("s.1", "d", "alive"), "ran until ChatDev stopped it"),
        (events.ProductStarted("s.1", "d", "crashed", why="ValueError"), "crashed: ValueError"),
        (events.PhaseBegan("P.1", "Coding"), "Coding"),
        (events.AttemptStopped(1, "interrupted"), "stopped: interrupted"),
        (events.ClockJumped(7_200.0), "the machine slept for 2 h 0 min, or its clock was set"),
        (events.ClockJumped(-60.0), "the clock was set back by 1 min 0 s"),
        (events.LimitReached("P.1", "d", "calls", 1, 1), "the run's limit of 1 call was reached (1 call spent)"),
        (events.LimitReached("P.1", "d", "minutes", 2.5, 2.512, "Test"), "Test's limit of 2.5 minutes was reached"),
        (events.LimitReached("P.1", "d", "cost", 0.5, 0.75), "the run's limit of $0.5000 was reached ($0.7500 spent)"),
        (events.AttemptStarted(2, "u", "m", 4096, "plain"), "attempt 2: m at u, window 4,096 tokens, sandbox"),
    ],
)
def test_other_events_are_reported_in_words(event: events.Any, text: str) -> None:
    assert text in "\n".join(told(event))


def test_what_only_the_log_needs_is_not_reported() -> None:
    assert told(events.MessageStored("m", "user", "x")) == []
    assert told(events.PhaseEnded("P.1", "P")) == []
    assert told(events.RunFinished("v.1", "passed")) == []
