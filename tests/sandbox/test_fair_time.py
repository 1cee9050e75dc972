"""Time limits on a busy machine: a program loses nothing by other work, and gains nothing but that."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatdev.sandbox import fair, patience, proc, selftest
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Limits, Outcome

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def clock(*looks: tuple[float, float, float, bool]) -> fair.Clock:
    """A clock after looks, each as (time, seconds of the pause before it, processor time so far, wants more)."""
    clock = fair.Clock(0.0)
    for now, requested, used, wants in looks:
        clock.observe(now, requested, used, wants)
    return clock


def test_on_a_quiet_machine_it_is_the_walls_time() -> None:
    assert clock((1, 1, 1.0, True), (2, 1, 2.0, True)).had == 2
    assert clock((1, 1, 0.0, False), (2, 1, 0.0, False)).had == 2
    assert clock((1, 1, 0.5, False), (2, 1, 0.9, False)).had == 2


def test_what_a_program_waits_for_the_processor_does_not_count() -> None:
    starved = clock((10, 10, 0.5, True), (20, 10, 1.0, True))
    assert (starved.had, starved.waited, starved.elapsed) == (1.0, 19.0, 20)


def test_a_pause_that_became_longer_than_was_meant_does_not_count() -> None:
    late = clock((8, 0.05, 0.0, False))
    assert late.had < 0.1
    assert late.waited > 7.9


def test_one_that_sleeps_through_it_has_its_time_all_the_same() -> None:
    """Else a program that waits for its user would be watched for as much longer as the machine is slower."""
    assert clock((0.05, 0.05, 0.0, False), (8, 0.05, 0.0, False)).had == 8
    assert clock((0.05, 0.05, 0.0, False), (8, 0.05, 0.5, False)).had < 1
    assert clock((0.05, 0.05, 0.0, True), (8, 0.05, 0.0, False)).had < 1


def test_many_processors_at_once_make_it_no_faster_than_the_wall() -> None:
    assert clock((1, 1, 4.0, True), (2, 1, 8.0, True)).had == 2


def test_the_time_of_processes_that_are_gone_is_kept() -> None:
    assert clock((1, 1, 1.0, True), (2, 1, 0.2, True), (3, 1, 1.2, True)).had == 2


def test_a_slow_machine_gives_more_and_never_less() -> None:
    assert fair.slowness(0.0) == fair.slowness(fair.USUAL_WORK) == 1
    assert fair.slowness(3 * fair.USUAL_WORK) == pytest.approx(3)
    assert fair.slowness(1_000) < fair.PATIENCE
    assert fair.slowness(0.0, 2 * fair.USUAL_START) == pytest.approx(2)
    assert fair.slowness(0.0, 1_000) < fair.PATIENCE


@needs_proc
def test_what_a_process_uses_and_wants_is_seen() -> None:
    used, wants = proc.usage([os.getpid()])
    assert wants  # it looks at itself, and so runs
    assert used <= sum(os.times()[:4]) + 0.02
    assert proc.usage([1 << 30]) == (0.0, False)


@pytest.fixture
def hogged() -> Iterator[Callable[[], None]]:
    """Puts this process, and so all that it starts, on one processor that others keep busy until the test is over."""
    before = os.sched_getaffinity(0)
    hogs: list[int] = []

    def begin() -> None:
        os.sched_setaffinity(0, {min(before)})
        for _ in range(6):
            if (pid := os.fork()) == 0:
                os.execv(sys.executable, (sys.executable, "-S", "-c", _HOG))
            hogs.append(pid)

    yield begin
    os.sched_setaffinity(0, before)
    for pid in hogs:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


_HOG = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
_WORK = "import time\nwhile time.process_time() < {}: pass\nprint('done')"


def python(code: str, limits: Limits) -> Job:
    return Job((sys.executable, "-S", "-c", code), {}, limits=limits)


@needs_proc
async def test_a_program_that_shares_its_processor_has_all_its_seconds(
    tmp_path: Path, hogged: Callable[[], None]
) -> None:
    hogged()
    outcome = await LocalSandbox(tmp_path).run(python(_WORK.format(0.3), Limits(seconds=0.6)))
    assert (outcome.stopped, outcome.stdout) == ("", "done\n")
    assert outcome.waited > 0


@needs_proc
async def test_an_endless_loop_and_an_endless_sleep_end_there_too(tmp_path: Path, hogged: Callable[[], None]) -> None:
    hogged()
    sandbox = LocalSandbox(tmp_path)
    limits = Limits(seconds=0.2, patience=1_000)
    for code in ("while True: pass", "import time; time.sleep(600)"):
        assert (await sandbox.run(python(code, limits))).stopped == "time"


@needs_proc
async def test_nothing_hangs_for_ever(tmp_path: Path) -> None:
    """What has not had its time when patience ends is given up, as starved. Here that comes after half a second."""
    outcome = await LocalSandbox(tmp_path).run(
        python("import time; time.sleep(600)", Limits(seconds=600, patience=0.001))
    )
    assert (outcome.stopped, outcome.exit_status, outcome.signal) == ("starved", None, None)


class Scripted:
    """A sandbox whose outcomes are given; it keeps the limits of each run."""

    level = "scripted"

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)
        self.limits: list[Limits] = []

    async def run(self, job: Job) -> Outcome:
        self.limits.append(job.limits)
        return self._outcomes.pop(0)


STARVED, DONE = Outcome(None, stopped="starved"), Outcome(0)


async def test_a_run_that_was_starved_is_repeated_with_more_patience() -> None:
    sandbox = Scripted(STARVED, DONE)
    assert await patience.run(sandbox, Job(("true",), {}, limits=Limits(seconds=5))) == DONE
    assert [limits.seconds for limits in sandbox.limits] == [5, 10]
    assert sandbox.limits[1].longest > 2 * sandbox.limits[0].longest


async def test_it_is_not_repeated_for_ever() -> None:
    sandbox = Scripted(*[STARVED] * 9)
    assert await patience.run(sandbox, Job(("true",), {})) == STARVED
    assert len(sandbox.limits) == patience.TRIES


async def test_an_outcome_that_tells_nothing_counts_as_starved_in_the_end() -> None:
    late = Outcome(None, stopped="time", stderr="x")
    outcome = await patience.run(Scripted(*[late] * 9), Job(("true",), {}), lambda outcome: outcome.stopped != "time")
    assert (outcome.stopped, outcome.stderr) == ("starved", "x")


async def test_a_level_is_not_refused_since_the_machine_is_slow() -> None:
    late, fine = Outcome(None, stopped="time"), Outcome(0, stdout="tried\n")
    assert await selftest.ways_out(Scripted(STARVED, late, fine)) == ""
    assert "too busy" in await selftest.ways_out(Scripted(*[late] * 9))
    held = Outcome(None, stopped="memory")
    assert await selftest.limits_passed(Scripted(STARVED, held)) == ""
