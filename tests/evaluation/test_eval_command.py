"""The command as its user types it, on recorded answers: figures, a resume, and what no arm may ever see."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import evaluated
import pytest
from click.testing import CliRunner, Result

from chatdev.cli.main import cli
from chatdev.journal import events
from chatdev.journal.store import read
from chatdev.models.background import BACKGROUND
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback

OURS = ("VLLM_", "OPENAI_", "BASE_URL", "CHATDEV_", "OTEL_")


@contextmanager
def serving(*manners: FaultSpec) -> Iterator[str]:
    playback = Playback(evaluated.says(), manners=manners)
    endpoint = BACKGROUND.wait_for(playback.start())
    try:
        yield endpoint
    finally:
        BACKGROUND.wait_for(playback.stop())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a set and a company."""
    evaluated.folder(tmp_path / "small-set")
    evaluated.company(tmp_path / "tested")
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def type_in(*words: str, walls: str = "--unsafe-no-sandbox") -> Result:
    """Most runs do without walls, which take their time to be tried on each start."""
    return CliRunner().invoke(cli, ["eval", *words, *filter(None, [walls])], catch_exceptions=False)


ARMS = ("--arm", "once", "--arm", "best-of-2", "--arm", "tested --max-calls 5")


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_arms_are_built_judged_and_compared_and_the_hidden_stays_hidden(here: Path) -> None:
    out = here / "WareHouse" / "small-set_eval"
    with serving() as endpoint:
        done = type_in("small-set", *ARMS, "--endpoint", endpoint, "--jobs", "4", walls="")
    assert done.exit_code == 0, done.stderr
    once, best, tested = report(out)["arms"]
    assert (once["solved"], best["solved"], tested["solved"]) == (1, 1, 3)
    assert once["cases"] == pytest.approx(1 / 3, abs=1e-3)
    assert once["paired"] is None and best["paired"] == {"won": 0, "lost": 0, "p": 1.0}
    assert tested["paired"] == {"won": 2, "lost": 0, "p": 0.5}
    assert (once["per_task"]["calls"], best["per_task"]["calls"], tested["per_task"]["calls"]) == (1, 2, 2)
    assert best["per_task"]["completion_tokens"] == pytest.approx(2 * once["per_task"]["completion_tokens"], abs=0.02)
    assert tested["says"] == {"passed": 2, "precision": 1.0, "recall": pytest.approx(2 / 3, abs=1e-4)}
    assert tested["own_tests"] == {"ran": 4, "failed": 3, "share": 0.75}  # two references do not shout
    assert once["says"] is None and once["own_tests"] is None
    assert report(out)["ceiling"]["solved"] == 1 and report(out)["ceiling"]["answers"] == 2
    assert report(out)["solved"]["twice"] == {"once": "0", "best-of-2": "0", "tested --max-calls 5": "1"}
    assert (report(out)["model"], report(out)["tasks"]) == ("small", 3)
    assert "| `tested --max-calls 5` | 3 of 3 " in done.stdout and "[6/6]" in done.stderr
    assert "<svg" in (out / "report.svg").read_text()
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) > 50
    for hidden in (str(evaluated.SECRET), str(2 * evaluated.SECRET), "secret words", "Secretive", "unheard_of"):
        assert not [path for path in written if hidden.encode() in path.read_bytes()]


def test_what_is_done_is_neither_asked_nor_judged_again(here: Path) -> None:
    out = here / "out"
    with serving() as endpoint:
        first = type_in("small-set/tasks.jsonl", "--arm", "once", "--out", "out", "--endpoint", endpoint, "--quiet")
    assert first.exit_code == 0 and "[" not in first.stderr
    judged = (out / "judged.jsonl").read_bytes()
    assert len(judged.splitlines()) == 3
    (out / "judged.jsonl").write_bytes(judged[:-20])  # as a power cut may leave it
    second = type_in("small-set", "--arm", "once", "--out", "out", "--endpoint", "127.0.0.1:9")
    assert second.exit_code == 0  # nobody answers there, and nobody was asked
    assert (out / "judged.jsonl").read_bytes() == judged
    assert second.stdout == first.stdout
    with serving() as endpoint:  # more answers take the one that is there for the first
        third = type_in("small-set", "--arm", "once", "--ceiling", "2", "--out", "out", "--endpoint", endpoint)
    assert third.exit_code == 0 and "3 of 6 projects to run" in third.stderr
    assert report(out)["ceiling"]["answers"] == 2
    logs = list(out.glob("arms/once/projects/*/.chatdev/events.jsonl"))
    started = [record.event for log in logs for record in read(log) if isinstance(record.event, events.RunStarted)]
    assert sorted(each.sample for each in started) == [1, 1, 1, 2, 2, 2]


def test_repeats_share_the_first_answer_and_build_again(here: Path) -> None:
    with serving() as endpoint:
        words = ("--arm", "once", "--arm", "best-of-2", "--repeat", "2", "--out", "out", "--endpoint", endpoint)
        done = type_in("small-set", *words)
    assert done.exit_code == 0
    once, best = report(here / "out")["arms"]
    assert (once["runs"], once["solved"], best["runs"]) == (6, 2, 6)
    assert "[9/9]" in done.stderr  # samples 1, 2 and 1002 of three tasks
    assert report(here / "out")["solved"]["double"] == {"once": "11", "best-of-2": "11"}


def test_another_model_in_the_same_folder_is_refused(here: Path) -> None:
    with serving() as endpoint:
        assert type_in("small-set", "--arm", "once", "--out", "out", "--endpoint", endpoint).exit_code == 0
        begun = here / "out" / "eval.json"
        begun.write_text(begun.read_text().replace("small", "large"))
        done = type_in("small-set", "--arm", "best-of-2", "--out", "out", "--endpoint", endpoint)
    assert done.exit_code == 2
    assert "measures large, but small answers now" in done.stderr


def test_an_evaluation_that_is_killed_goes_on_and_asks_nothing_twice(here: Path) -> None:
    out = here / "out"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    words = ["small-set", "--arm", "best-of-2", "--out", "out", "--jobs", "1", "--unsafe-no-sandbox"]

    def ended() -> int:
        results = out / "arms" / "once" / "results.jsonl"
        return results.read_bytes().count(b"\n") if results.exists() else 0

    with serving(FaultSpec(first_token=0.05)) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-m", "chatdev", "eval", *words, "--endpoint", endpoint],
            cwd=here,
            env=kept | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
        )
        try:
            for _ in range(6_000):
                if ended() >= 2 or process.poll() is not None:
                    break
                time.sleep(0.01)
        finally:
            process.kill()
            process.communicate()
        assert 2 <= ended() < 6
        done = type_in(*words, "--endpoint", endpoint)
    assert done.exit_code == 0, done.stderr
    assert ended() == 6
    for log in out.glob("arms/once/projects/*/.chatdev/events.jsonl"):
        answered = [record for record in read(log) if isinstance(record.event, events.ModelAnswered)]
        assert len(answered) == 1
    assert len((out / "judged.jsonl").read_bytes().splitlines()) == 6


def test_runs_that_ended_in_an_error_are_counted_and_can_be_taken_up_again(here: Path) -> None:
    words = ("small-set", "--arm", "once", "--out", "out", "--quiet")
    with serving(FaultSpec(window=16)) as endpoint:
        first = type_in(*words, "--endpoint", endpoint)
    assert first.exit_code == 0
    assert report(here / "out")["arms"][0]["errors"] == 3
    assert "Runs with an error: `once` 3." in first.stdout
    again = type_in(*words, "--endpoint", "127.0.0.1:9")
    assert again.exit_code == 0
    with serving() as endpoint:
        third = type_in(*words, "--endpoint", endpoint, "--retry-errors")
    assert third.exit_code == 0, third.stderr
    assert (report(here / "out")["arms"][0]["errors"], report(here / "out")["arms"][0]["solved"]) == (0, 1)


def test_ctrl_c_says_that_nothing_is_lost(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(coroutine: Coroutine[Any, Any, None]) -> None:
        coroutine.close()
        raise SystemExit(130)

    monkeypatch.setattr("chatdev.cli.evaluating.common.run", interrupted)
    done = type_in("small-set", "--arm", "once")
    assert done.exit_code == 130 and "Nothing is lost: run the same command again to continue." in done.stderr


def test_a_disk_that_refuses_is_reported_in_words(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise OSError(28, "No space left on device", "report.md")

    monkeypatch.setattr("chatdev.cli.evaluating.EvalFolder.write", refusing)
    with serving() as endpoint:
        done = type_in("small-set", "--arm", "once", "--endpoint", endpoint)
    assert done.exit_code == 1 and "Operating system error: No space left on device (report.md)" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "nowhere cannot be read"),
        (("small-set", "--arm", "once --candidates 3"), "one-shot answers take no options"),
        (("small-set", "--arm", "tested --loudly"), "No such option"),
        (("small-set", "--arm", "tested --candidates many"), "Options of an arm: --role-model, "),
        (("small-set", "--arm", "nobody"), 'no company called "nobody"'),
        (("small-set", "--arm", "tested 'x"), "No closing quotation"),
        (("small-set", "--arm", " "), "An --arm is empty"),
        (("small-set", "--arm", "once", "--arm", "once"), "is given twice"),
        (("small-set", "--arm", "tested --role-model Poet=x"), "Poet"),
        (("small-set", "--out", "small-set/tasks.jsonl/out"), "Cannot create an evaluation"),
        (("small-set", "--endpoint", "127.0.0.1:9"), "No model server answered"),
    ],
)
def test_what_cannot_be_is_reported_in_words(here: Path, words: tuple[str, ...], expected: str) -> None:
    done = type_in(*words)
    assert done.exit_code == 2
    assert expected in done.stderr
