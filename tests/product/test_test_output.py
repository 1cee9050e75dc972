"""What test runners print is read as it is meant."""

from chatdev.product.test_output import ReportedTest, ReportedTests, go, libtest, tap

NESTED = """TAP version 13
# Subtest: sums
    # Subtest: small
    ok 1 - small
      ---
      duration_ms: 1.5
      ...
    # Subtest: large
    not ok 2 - large
      ---
      error: 'overflow'
      ...
    1..2
not ok 1 - sums
ok 2 - plain # SKIP later
not ok 3 - hard # TODO some day
1..3
"""


def test_subtests_count_by_themselves_under_the_name_of_their_suite() -> None:
    assert tap(NESTED) == ReportedTests(
        (
            ReportedTest("sums > small", "passed"),
            ReportedTest("sums > large", "failed", "error: 'overflow'"),
            ReportedTest("plain", "skipped", "later"),
            ReportedTest("hard", "skipped", "some day"),
        )
    )


def test_a_suite_that_fails_by_itself_is_a_failure() -> None:
    report = tap("    ok 1 - a\n    1..1\nnot ok 1 - s\n1..1\n")
    assert [(one.name, one.outcome) for one in report.tests] == [("s > a", "passed"), ("s", "failed")]


def test_diagnostics_say_why_a_test_failed() -> None:
    assert tap("1..1\nnot ok 1 - a\n# expected 3\n# got 4\n").tests == (
        ReportedTest("a", "failed", "expected 3\ngot 4"),
    )


def test_a_number_is_a_name_where_there_is_none() -> None:
    assert tap("1..1\nok\n").tests == (ReportedTest("test 1", "passed"),)


def test_tap_that_breaks_off_is_not_believed() -> None:
    assert tap("1..1\nok 1 - a\nBail out! no disk\n").trouble == "Bail out! no disk"
    assert tap("    ok 1 - a\n    1..1\n1..0\n").trouble == "a subtest's test never came"
    assert tap("").trouble == "the tests announced no plan 1..N and told of 0"
    assert tap("okay\nnot okay either\n1..0\n") == ReportedTests()


def test_libtest_gives_each_test_and_its_panic() -> None:
    text = (
        "\nrunning 3 tests\ntest bad ... FAILED\ntest m::ign ... ignored\ntest good - should panic ... ok\n\n"
        "failures:\n\n---- bad stdout ----\nleft: 1\n\n\nfailures:\n    bad\n\ntest result: FAILED.\n"
    )
    assert libtest(text) == ReportedTests(
        (ReportedTest("bad", "failed", "left: 1"), ReportedTest("m::ign", "skipped"), ReportedTest("good", "passed"))
    )
    assert libtest("").trouble == "the tests announced no number and told of 0"
    assert libtest("running 2 tests\ntest a ... ok\n").trouble == "the tests announced 2 and told of 1"


def test_go_tells_an_event_a_line() -> None:
    text = (
        '{"Action":"run","Test":"TestA"}\n{"Action":"pass","Test":"TestA"}\n# command-line\n[1]\n'
        '{"Action":"run","Test":"TestB"}\n{"Action":"output","Test":"TestB","Output":"want 3\\n"}\n'
        '{"Action":"fail","Test":"TestB"}\n{"Action":"skip","Test":"TestC"}\n{"Action":"fail","Package":"x"}\n'
    )
    assert go(text) == ReportedTests(
        (ReportedTest("TestA", "passed"), ReportedTest("TestB", "failed", "want 3"), ReportedTest("TestC", "skipped"))
    )
    assert go('{"Action":"run","Test":"TestA"}\n').trouble == "TestA did not end"
