"""``chatdev bench`` as a user types it: what it prints and saves, what it refuses, and how it ends."""

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from benching import RECORDING, WORKLOAD
from click.testing import CliRunner, Result

from chatdev import runs
from chatdev.cli import bench
from chatdev.cli.main import cli
from chatdev.errors import UserError
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import ModelAnswered
from chatdev.journal.store import Store
from chatdev.playback.server import Playback


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of the user's, with the two calls of the small workload."""
    folder = runs.begin(runs.RunRequest(task=WORKLOAD.task, name="Greeting", config="full"), tmp_path)
    store = Store(runs.log_of(folder))
    scope = JournalScope(store)
    for call in WORKLOAD.calls:
        ids = tuple(scope.keep_message(message.role, message.content) for message in call.messages)
        store.append(
            ModelAnswered(
                place=call.place,
                digest="0",
                role="Programmer",
                messages=ids,
                text="text",
                finish_reason="stop",
                prompt_tokens=40,
                completion_tokens=call.tokens,
                endpoint="",
                model="tiny",
            )
        )
    store.close()
    return folder


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VLLM_ENDPOINT", "VLLM_MODEL_NAME", "VLLM_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[str]:
    """Playback in a loop and thread of its own: its address without a scheme, as a user types it."""
    from chatdev.models.background import Background

    background, playback = Background(), Playback(RECORDING)
    try:
        yield background.wait_for(playback.start()).removeprefix("http://").removesuffix("/v1")
        background.wait_for(playback.stop())
    finally:
        background.close()


def type_in(*words: str) -> Result:
    done = CliRunner().invoke(cli, ["bench", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


SHORT = ("--levels", "1,2", "--projects", "1")


def test_a_table_is_printed_and_saved_beside_a_picture(run_folder: Path, server: str, tmp_path: Path) -> None:
    done = type_in(server, "--run", str(run_folder), *SHORT, "--markdown", "out.md", "--svg", "out.svg")
    assert done.exit_code == 0, done.output
    assert f"| `tiny at {server}`" in done.stdout
    assert "100 % (6 of 6)" in done.stdout
    assert run_folder.name.replace("_", "") in done.stdout.replace("_", "")
    assert (tmp_path / "out.md").read_text() == done.stdout
    assert ET.parse(tmp_path / "out.svg").getroot().tag.endswith("svg")
    assert "2 in flight" in done.stderr


def test_json_is_printed_and_a_dead_endpoint_makes_the_exit_status_1(run_folder: Path, server: str) -> None:
    done = type_in("127.0.0.1:9", server, "--run", str(run_folder), *SHORT, "--json")
    assert done.exit_code == 1
    dead, alive = json.loads(done.stdout)["endpoints"]
    assert (dead["measured"], alive["measured"]) == (False, True)
    assert alive["levels"][1]["answered"] == 4


def test_without_arguments_the_set_endpoint_is_measured(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_ENDPOINT", "http://127.0.0.1:9")
    done = type_in("--run", str(run_folder), *SHORT)
    assert done.exit_code == 2
    assert "No model server answered at http://127.0.0.1:9/v1" in done.stdout


def test_what_takes_money_is_refused_when_no_one_can_agree(
    run_folder: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatdev.settings.urls.is_private", lambda host: False)
    done = type_in(server, "--run", str(run_folder), *SHORT)
    assert done.exit_code == 2
    assert "its price is not known, for 3 projects of 2 calls" in done.stderr
    assert "--yes" in done.stderr
    assert not done.stdout
    agreed = type_in(server, "--run", str(run_folder), *SHORT, "--yes")
    assert agreed.exit_code == 0
    assert "| not known" in agreed.stdout


def test_at_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter([True, False])
    monkeypatch.setattr(click, "confirm", lambda *_, **__: next(answers))
    bench.agree_to_costs(["costs"], yes=False)
    with pytest.raises(UserError, match="Nothing was measured"):
        bench.agree_to_costs(["costs"], yes=False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--levels", "1,many"), "--levels takes comma-separated numbers"),
        (("--levels", "0"), "--levels takes comma-separated numbers"),
        (("--seconds", "0"), "--seconds takes a number above 0"),
        (("--svg", "not/here.svg"), "cannot be written"),
        (("--run", "Nowhere"), 'There is no run "Nowhere"'),
        (("ftp://x",), "not the address of a model server"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_measured(words: tuple[str, ...], expected: str) -> None:
    done = type_in(*words)
    assert done.exit_code == 2
    assert expected in done.stderr


def test_a_file_that_cannot_be_saved_is_reported_after_the_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        bench.save(tmp_path, "text")


def test_without_a_run_the_shipped_one_is_asked() -> None:
    found = asyncio.run(bench.workload_of(None))
    assert "create a calculator" in found.title
    assert len(found.calls) == 11
    assert found.tokens > 5_000
    assert all(found.contains_task(call) for call in found.calls)


def test_with_vllm_debug_each_request_is_shown(run_folder: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_DEBUG", "1")
    done = type_in(server, "--run", str(run_folder), "--levels", "1", "--projects", "1")
    assert done.exit_code == 0
    assert "POST http" in done.stderr
    assert "POST" not in done.stdout
