import msgspec
import pytest
from markdown_it import MarkdownIt
from sample_log import LOCAL, PAID, begun, finished, hostile, results, worked

from chatdev.journal import events
from chatdev.views import lines, report, transcript


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its head."""
    section = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = [line for line in section.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


@pytest.mark.parametrize(
    ("verdict", "outcomes", "heading"),
    [
        ("passed", (), "Passed: all 3 acceptance tests pass"),
        ("failed (1 of 2)", ("passed", "failed"), "Failed: 1 of 2 acceptance tests pass"),
        ("failed (1 of 1)", ("passed",), "Failed, although the one acceptance test passes"),
        ("not run (needs pygame)", ("error",), "Not tested: needs pygame"),
        ("odd", (), "Odd"),
    ],
)
def test_the_first_line_is_the_verdict(verdict: str, outcomes: tuple[events.TestOutcome, ...], heading: str) -> None:
    text = report.render(finished(verdict, *outcomes))

    assert text.split("\n\n")[:2] == [f"# {heading}", "Every test was run on the last version."]


@pytest.mark.parametrize(("verdict", "heading"), [("passed", "Passed"), ("failed (0 of 0)", "Failed")])
def test_a_verdict_without_tests_names_no_number(verdict: str, heading: str) -> None:
    log = begun().add(events.VerdictReached("Verdict.1", verdict))

    assert report.render(log.records).startswith(f"# {heading}\n")


def test_a_passed_test_that_proves_nothing_is_marked() -> None:
    name = "tests/test_calc.py::Calc::test_2"
    text = report.render(finished("passed", vacuous=(name,)))

    assert text.startswith("# Passed: all 3 acceptance tests pass (1 of them without the product too)\n")
    assert table(text, "Acceptance tests")[1] == [f"`{name}`", "passed", "passes without the product"]


def test_every_test_stands_with_its_outcome_its_reason_and_what_it_needs() -> None:
    needy = events.TestResult("t::d", "error", "ImportError", needs="pygame")
    ran = results("tests.1", "passed", "failed", "skipped", "no result", trouble="it left early")
    log = begun().add(events.TestsRan("tests.2", "d", (*ran.results, needy), ran.trouble))
    text = report.render(log.add(events.VerdictReached("Verdict.1", "failed (1 of 5)")).records)

    rows = table(text, "Acceptance tests: 1 of 5 pass")
    assert [row[1] for row in rows] == ["passed", "failed", "skipped", "no result", "error"]
    assert (rows[1][2], rows[4][2]) == ("1 != 2", "ImportError; needs pygame")
    assert "The test results are unreliable: it left early" in text


@pytest.mark.parametrize(
    ("paths", "command"),
    [
        (["counter/__main__.py"], "python3 -m counter"),
        (["src/counter/__main__.py"], "PYTHONPATH=src python3 -m counter"),
    ],
)
def test_a_package_is_started_by_its_name(paths: list[str], command: str) -> None:
    log = begun()
    for path in paths:
        log = log.add(events.FileWritten("f.1", path, "0", 9, 1, 1, 0))

    assert f"\n    {command}\n    chatdev test .\n" in report.render(log.records)


def test_it_says_how_to_start_the_product_and_to_test_it_again() -> None:
    text = report.render(finished())

    assert "\n    python3 main.py\n    chatdev test .\n" in text
    assert "Start check: the product exited with status 0." in text


def test_a_product_without_main_py_has_nothing_to_start() -> None:
    product = events.ProductStarted("start.1", "d", "missing", needs="tkinter")
    log = begun().add(events.FileWritten("f.1", "calc.py", "0", 9, 1, 1, 0)).add(product)
    text = report.render(log.records)

    assert "python3 main.py" not in text
    assert "the product could not be started: needs tkinter." in text


def test_who_answered_names_endpoint_model_and_estimates() -> None:
    rows = table(report.render(finished()), "Models by role")

    assert rows[0] == ["Chief Product Officer", "qwen-coder", LOCAL, "1", "100", "50", "20"]
    assert rows[-1] == ["Programmer", "qwen-coder", LOCAL, "2", "about 200", "about 100", "20"]


def test_tokens_time_and_cost_are_reported_with_what_is_only_estimated() -> None:
    text = report.render(finished())

    assert "about 500 prompt and 250 completion tokens, 64 of them from the prefix cache (estimated for 1 of 5" in text
    assert "- Calls: 5, in 6 requests\n- Time: 27.0 s;" in text
    assert "- Cost: $0\n" in text
    assert "Requests were adapted to the endpoint: no system." in text


@pytest.mark.parametrize(("cost", "shown"), [(None, "unknown"), (0.25, "$0.2500")])
def test_a_paid_or_unknown_price_is_reported(cost: float | None, shown: str) -> None:
    log = worked().ask("x.1", "Programmer", "?", "!", cost=cost, endpoint=PAID)

    assert f"- Cost: {shown}\n" in report.render(log.records)


@pytest.mark.parametrize(("pause", "shown"), [(30.0, "31.0 s"), (124.0, "2 min 5 s"), (3_800.0, "1 h 3 min")])
def test_long_times_are_reported_as_people_do(pause: float, shown: str) -> None:
    assert f"- Time: {shown};" in report.render(begun().add(results("t.1", "passed"), after=pause).records)


def test_what_was_cut_refused_guessed_or_asked_again_is_listed() -> None:
    log = worked().ask("x.1", "Programmer", "?", "!", finish_reason="length")
    text = report.render(log.add(events.Diagnostic("n.1", "guessed", 'nobody settled it; "Python" was taken')).records)

    assert "- **asked again**: Coding: no file could be read\n- **cut**: 1 answer ended at the token limit\n" in text
    assert '- **guessed**: nobody settled it; "Python" was taken\n- **refused**: the file `../x.py`: it leaves' in text


def test_files_stand_with_their_lines_and_attempts_with_their_end() -> None:
    text = report.render(finished())

    assert ["`main.py`", "31", "620"] in table(text, "Files: 5, with 73 lines")
    assert [row[-1] for row in table(text, "Attempts: 2")] == ["OPENAI\\_API\\_KEY is a placeholder; interrupted", ""]


def test_an_unfinished_run_says_why_and_how_to_go_on() -> None:
    log = worked().add(results("Test.1/tests.1", "failed")).add(events.AttemptStopped(2, "no server\nanswered"))
    text = report.render(log.records)

    assert text.startswith("# Not finished: no server answered\n\nResume it with: `chatdev resume Calc_")
    assert "the run is not finished" in text


def test_a_run_that_was_killed_says_that_it_was_interrupted() -> None:
    assert report.render(begun().records).startswith("# Not finished: it was interrupted")


def test_an_unfinished_phase_is_marked() -> None:
    log = begun().add(events.PhaseBegan("Coding.1", "Coding", "Programmer"))

    assert table(report.render(log.records), "Tokens, time and cost")[0][0] == "Coding (unfinished)"


def test_an_empty_log_is_no_run() -> None:
    assert report.render([]) == "# No run: the log is empty\n"


def test_hostile_text_cannot_break_the_markdown() -> None:
    text = report.render(hostile())
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = {child.type for token in tokens for child in token.children or ()}

    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) < 2_500
    assert kinds <= {"text", "text_special", "code_inline", "softbreak", "strong_open", "strong_close"}
    assert sum(token.type == "table_open" for token in tokens) == text.count("\n| --- |")
    assert [token.markup for token in tokens if token.type == "heading_open"] == ["#"] + ["##"] * text.count("\n## ")


def test_what_was_cut_to_fit_the_window_is_listed_by_place() -> None:
    cuts = ("main.py as signatures (10 of 2,000 characters)", "an earlier answer left out (21 of 900 characters)")
    many = tuple(f"module{number}.py as signatures (10 of 2,000 characters)" for number in range(60))
    log = begun().ask("Coding.1/P.1/ask.1", "P", "Write.", "code", cuts=cuts).ask("Coding.1/P.1/ask.2", "P", "?", "a")
    assert f"- **cut to fit**: Coding.1/P.1/ask.1: {'; '.join(cuts)}" in report.render(log.records)
    assert lines.of(log.records[-3].event)[0].text == f"  cut to fit: {'; '.join(cuts)}"
    assert report.render(begun().ask("a.1", "P", "?", "a", cuts=many).records).count("as signatures") == 60
    assert "cut to fit the context window: main.py" in transcript.render(log.records)


@pytest.mark.parametrize(
    ("field", "advice"),
    [
        ("tool_calls", "without a tool-call parser"),
        ("refusal", "Word the task differently"),
        ("reasoning", "--reasoning-parser"),
        ("<think>", "turn thinking off"),
    ],
)
def test_empty_answers_say_where_their_text_was_and_what_to_set(field: str, advice: str) -> None:
    log = begun().ask("A.1/P.1/ask.1", "P", "?", "", text_in=field).ask("A.1/P.1/ask.2", "P", "?", "", text_in=field)
    shown = report.render(log.records)
    assert "**empty answers**: 2 of 2 answers: the text was in" in shown and advice in shown
    assert "empty answers" not in report.render(begun().ask("A.1/P.1/ask.1", "P", "?", "a").records)
    terminal = [line.text for line in lines.of(log.records[-1].event)]
    assert any(line.startswith("  empty answer: the text was in") and advice in line for line in terminal)


def test_what_the_server_counted_is_reported_as_its_whole_traffic() -> None:
    log = begun().add(events.ServerCounted(1, "vllm", 2000, 1500, 3)).add(events.ServerCounted(2, "tgi"))
    log.add(events.ServerCounted(3, "sglang", 0, 0, 1))
    text = report.render(log.records)
    assert (
        "Model server counters during each attempt, other clients' traffic included:\n\n"
        "- attempt 1: 75 % of 2,000 prompt tokens found in the prefix cache, 3 preemptions\n"
        "- attempt 3: 1 preemption\n"
    ) in text
    assert "Model server counters" not in report.render(begun().records)


def test_trouble_with_endpoints_is_summed_up_by_its_reason() -> None:
    refused = "http://a:1/v1: No model server answered (connection refused)."
    log = begun()
    log.ask("Coding.1/Programmer.1/ask.1", "Programmer", "q", "a", tries=3, tried=(f"{refused} (2 tries)",))
    log.ask("Coding.1/Programmer.1/ask.2", "Programmer", "q", "b", tries=2, tried=(refused,))
    log.ask("Coding.1/Programmer.1/ask.3", "Programmer", "q", "c", tries=2, tried=(f"{LOCAL}: fell silent",))
    log.ask("Coding.1/Programmer.1/ask.4", "Programmer", "q", "d", tried=tuple(f"http://{n}/v1: x" for n in range(5)))
    text = report.render(log.records).replace("\\", "")
    assert "Endpoint failures: 3 of 4 calls fell back to another endpoint. All calls together took 8 requests." in text
    assert f"- 2 calls: {refused}" in text
    assert f"- 1 call: {LOCAL}: fell silent" in text
    assert "The log has 2 more reasons." in text


def test_a_call_that_another_endpoint_answered_is_marked_as_it_happens() -> None:
    log = begun().ask("A.1/B.1/ask.1", "Programmer", "q", "a", tried=("http://a:1/v1: gone", f"{LOCAL}: slow"))
    answered = [each for record in log.records for each in lines.of(record.event) if "fell back" in each.text]
    assert [each.text for each in answered] == [f"  fell back to qwen-coder at {LOCAL} (http://a:1/v1: gone)"]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (
            "tokens",
            "with a higher limit: `chatdev resume Calc_Org_20251125031807 --from Coding --max-tokens-total NUMBER`",
        ),
        (
            "cost",
            "after raising the budget in `.chatdev/company/company.toml`: `chatdev resume Calc_Org_20251125031807 --",
        ),
    ],
)
def test_a_run_that_was_ended_by_a_limit_says_which_and_how_to_go_on(limit: events.Limit, expected: str) -> None:
    reached = events.LimitReached("Coding.1/Programmer.1/ask.3", "d", limit, 500, 510)
    text = report.render(worked().add(reached).add(events.VerdictReached("Verdict.1", "passed")).records)
    assert "The run ended early: the run's limit" in text
    assert expected in text
    own = msgspec.structs.replace(reached, phase="Coding")
    text = report.render(worked().add(own).add(events.VerdictReached("Verdict.1", "passed")).records)
    assert "ended early" not in text
    assert "- **limit**: Coding's limit of " in text
