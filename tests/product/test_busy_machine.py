"""A machine that had no time for a program: nothing is said of the product, and no run ends of it."""

import shutil
from collections.abc import Sequence

import pytest
from helpers.products import CALCULATOR, CALCULATOR_TESTS, product

from chatdev.product import busy, languages, python_start
from chatdev.product.python_start import start_product
from chatdev.product.python_tests import run_tests
from chatdev.product.verdict import judge, judge_start
from chatdev.project.state import State
from chatdev.sandbox import patience
from chatdev.sandbox.port import Job, Outcome, SandboxError, Stopped

FILES = product("print('hello')", calculator=CALCULATOR, test_calculator=CALCULATOR_TESTS)
BEGIN, RUNNING, END = "NONCE|begin|/f|/h|/t", "NONCE|running|main.py", "NONCE|end"
ONE = "test_calculator.py::Adding::test_small"
TWO = "test_calculator.py::Adding::test_negative"
PASSED = [BEGIN, f"NONCE|result|{ONE}|passed||", f"NONCE|result|{TWO}|passed||", END]
LATE = [BEGIN, f"NONCE|result|{ONE}|error|TimeoutExpired: main.py timed out after 5 seconds|", *PASSED[2:]]


def ran(
    lines: Sequence[str] = (), stopped: Stopped = "", seconds: float = 10, waited: float = 0, status: int | None = 0
) -> Outcome:
    text = "".join(f"\n{line}\n" for line in lines).replace("|", "\x1f")
    return Outcome(None if stopped else status, stopped=stopped, stdout=text, seconds=seconds, waited=waited)


class Machine:
    """A sandbox with these outcomes, one after the other, the last of them again and again."""

    level = "scripted"

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)
        self.runs = 0

    async def run(self, job: Job) -> Outcome:
        self.runs += 1
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        text = outcome.stdout.replace("NONCE", job.stdin.decode())
        return Outcome(
            outcome.exit_status, stopped=outcome.stopped, stdout=text, seconds=outcome.seconds, waited=outcome.waited
        )


NOT_BEGUN, STARVED = ran(stopped="time"), ran([BEGIN], stopped="starved")


@pytest.mark.parametrize("before", [NOT_BEGUN, STARVED, ran(stopped="starved")])
async def test_what_did_not_come_up_in_time_is_tried_again(before: Outcome) -> None:
    machine = Machine(before, ran(PASSED))
    tests = await run_tests(machine, FILES)
    assert [result.outcome for result in tests.results] == ["passed", "passed"]
    assert (await start_product(Machine(before, ran([BEGIN, RUNNING, "NONCE|ended|0"])), FILES)).how == "exited"


@pytest.mark.parametrize("outcome", [NOT_BEGUN, STARVED])
async def test_after_all_tries_nothing_is_reported_of_the_product(outcome: Outcome) -> None:
    machine = Machine(outcome)
    tests, started = await run_tests(machine, FILES), await start_product(machine, FILES)
    assert machine.runs == 2 * patience.TRIES
    assert (tests.lacks, tests.results, started.lacks) == (busy.BUSY, (), busy.BUSY)
    passed = await run_tests(Machine(ran(PASSED)), FILES)
    for each in (judge(passed, tests, None), judge(tests, passed, started), judge_start(started)):
        assert each.verdict.startswith("not run (")
    assert judge(tests, tests, started).verdict == judge_start(started).verdict == "not run (machine too busy)"


async def test_no_one_is_asked_to_correct_it() -> None:
    texts = {path: content.decode() for path, content in FILES.items()}
    state = State("task", "name", texts)
    tests = await run_tests(Machine(STARVED), FILES, digest=state.digest)
    started = await start_product(Machine(STARVED), FILES, digest=state.digest)
    assert State("task", "name", texts, tests=tests, started=started).healthy


async def test_a_program_that_had_its_time_is_alive() -> None:
    assert (await start_product(Machine(ran([BEGIN, RUNNING, "NONCE|alive"])), FILES)).how == "alive"
    assert (await start_product(Machine(ran([BEGIN, RUNNING], stopped="time")), FILES)).how == "alive"


async def test_what_fails_for_another_reason_is_an_error_all_the_same() -> None:
    machine = Machine(ran(status=1))
    with pytest.raises(SandboxError, match="did not start in the sandbox"):
        await run_tests(machine, FILES)
    assert machine.runs == 1


async def test_a_tests_own_time_limit_is_not_believed_where_most_of_the_time_was_waited() -> None:
    machine = Machine(ran(LATE, waited=9), ran(PASSED, waited=9))
    assert (await run_tests(machine, FILES)).results[0].outcome == "passed"
    assert (await run_tests(Machine(ran(LATE, waited=9)), FILES)).lacks == busy.BUSY


async def test_on_a_machine_that_was_only_a_little_busy_it_is_believed() -> None:
    machine = Machine(ran(LATE, waited=3))
    tests = await run_tests(machine, FILES)
    assert (machine.runs, tests.lacks, tests.results[0].outcome) == (1, "", "error")


async def test_a_screen_that_did_not_come_up_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/Xvfb" if name == python_start.SCREEN else None)
    blind = ran([BEGIN, "NONCE|running|main.py", "NONCE|crash|TclError: no display name|", "NONCE|ended|1"])
    assert (await start_product(Machine(blind, ran([BEGIN], stopped="time")), FILES)).lacks == busy.BUSY
    shown = ran([BEGIN, "NONCE|running|main.py"], stopped="time")
    assert (await start_product(Machine(blind, shown), FILES)).how == "alive"


JAVASCRIPT = {"main.js": b"", "tests/main.test.js": b"", languages.MANIFEST: b'language = "JavaScript"\ntest = ["x"]\n'}


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
async def test_other_languages_are_judged_the_same_way() -> None:
    toolchain = languages.of_folder(JAVASCRIPT)
    starved = Machine(ran(stopped="starved"))
    tests, started = await toolchain.run_tests(starved, JAVASCRIPT), await toolchain.start(starved, JAVASCRIPT)
    assert (tests.lacks, started.lacks, starved.runs) == (busy.BUSY, busy.BUSY, 2 * patience.TRIES)
    lines = ["NONCE ready", "not ok 1 - adds\n  error: 'test timed out after 5000ms'\n1..1", "NONCE ended 1"]
    late, in_time = ran(lines, waited=9), ran([lines[0], "ok 1 - adds\n1..1", "NONCE ended 0"], waited=9)
    assert [each.outcome for each in (await toolchain.run_tests(Machine(late, in_time), JAVASCRIPT)).results] == [
        "passed"
    ]
    assert (await toolchain.run_tests(Machine(late), JAVASCRIPT)).lacks == busy.BUSY
