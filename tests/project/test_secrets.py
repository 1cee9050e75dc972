"""A key that its user set stands in no file of the run, wherever it comes back from."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import msgspec
import pytest
from helpers.fake_server import says, serving
from helpers.support import ANSWERS, MAIN, TESTS, WORDS, Ran, recording, run

from chatdev import runs
from chatdev.errors import SettingsError
from chatdev.journal import store
from chatdev.journal.events import AttemptStopped, Diagnostic, FileRefused, MessageStored, TestsRan
from chatdev.journal.store import Store
from chatdev.settings import Settings, load

KEY, OTHER, PASSWORD, TEAM = "sk-decoy-4711", "tok-decoy-0815", "pa55-decoy", "team-decoy-99"
TOML = f"""
proxy = "http://me:{PASSWORD}@127.0.0.1:9"
[headers]
X-Team = "{TEAM}"
[keys]
"http://127.0.0.1:9/v1" = "{OTHER}"
"""
ROOT = Path(__file__).parents[2]
SECRETS = (KEY, OTHER, PASSWORD, TEAM)
ENVIRON = {"VLLM_API_KEY": KEY}

CODING = "Coding.1/Programmer.1/ask.1"
REVIEW = "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1"
AT = {
    "a file and an argument": {
        CODING: WORDS + MAIN.replace("from", f"KEY = {KEY!r}\nfrom"),
        REVIEW: f"Their key is {KEY}, in JSON {json.dumps(KEY)}.\n<INFO> Finished",
    },
    "a path": {CODING: f"{WORDS}\n{MAIN}\n../{KEY}.py\n```python\nx = 1\n```\n"},
    "a failure and an output": {
        CODING: WORDS.replace('"hello"', f"{KEY[::-1]!r}[::-1]")
        + MAIN.replace("greeting())", f"{KEY[::-1]!r}[::-1]); raise SystemExit(3)")
    },
    "a test": {"TestWriting.1/SoftwareTestEngineer.1/ask.1": TESTS.replace('"hello"', f'"hello", "{KEY}"')},
}
FIX = {
    f"CodeReview.{n}/{phase}": text
    for n in (1, 2)
    for phase, text in {
        "CodeReviewComment.1/CodeReviewer.1/ask.1": "<INFO> Finished",
        "CodeReviewModification.1/Programmer.1/ask.1": WORDS,
    }.items()
} | {
    f"{phase}.1/Programmer.1/ask.1": WORDS
    for n in range(1, 5)
    for phase in (f"Test.{n}/TestModification", f"StartUp.{n}/StartModification")
}


def kept(folder: Path) -> str:
    """All that lies in a run's folder, names and contents."""
    paths = sorted(folder.rglob("*"))
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    return "\n".join([*(str(path.relative_to(folder)) for path in paths), *texts])


async def ran(warehouse: Path, answers: dict[str, str], task: str = "greet") -> Ran:
    return await run(warehouse, recording({**ANSWERS, **FIX, **answers}), task=task, environ=ENVIRON)


@pytest.mark.parametrize("where", AT)
async def test_a_key_that_a_model_or_a_program_says_is_not_kept(where: str, tmp_path: Path) -> None:
    came = await ran(tmp_path, AT[where])
    assert KEY not in kept(came.folder)
    assert "***" in kept(came.folder)


async def test_a_key_in_the_task_reaches_neither_the_log_nor_a_prompt(tmp_path: Path) -> None:
    came = await ran(tmp_path, {}, task=f"greet with {KEY}")
    assert came.verdict.verdict == "passed"
    assert KEY not in kept(came.folder)
    assert any("greet with ***" in event.content for event in came.events(MessageStored))


async def test_what_was_redacted_is_the_same_on_a_resume(tmp_path: Path) -> None:
    came = await ran(tmp_path, AT["a file and an argument"])
    log = runs.log_of(came.folder)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[: len(lines) // 2]))
    again = await run(
        tmp_path, recording({**ANSWERS, **FIX, **AT["a file and an argument"]}), folder=came.folder, environ=ENVIRON
    )
    assert again.verdict.verdict == came.verdict.verdict
    assert KEY not in kept(came.folder)


async def test_a_key_that_came_later_does_not_spoil_an_older_log(tmp_path: Path) -> None:
    came = await run(tmp_path, recording({**ANSWERS, **AT["a file and an argument"]}))
    assert KEY in kept(came.folder)
    again = await run(tmp_path, recording(ANSWERS), folder=came.folder, environ=ENVIRON)
    assert again.verdict == came.verdict


async def test_a_key_that_is_a_word_stays_in_code(tmp_path: Path) -> None:
    came = await run(tmp_path, recording(ANSWERS), environ={"VLLM_API_KEY": "greeting"})
    assert "def greeting" in (came.folder / "words.py").read_text()


def test_every_secret_of_the_settings_is_known(tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text(TOML)
    settings = load({**ENVIRON, "OPENAI_API_KEY": "sk-openai-decoy1"}, tmp_path)
    cleaned = runs.redactor(settings).text(" ".join((*SECRETS, "sk-openai-decoy1")))
    assert cleaned.split() == ["***"] * 5


@pytest.mark.parametrize("status", [400, 401])
async def test_a_server_that_quotes_any_key_gets_none_into_the_log_an_error_or_the_debug_log(
    status: int, tmp_path: Path
) -> None:
    settings = tmp_path / "chatdev.toml"
    settings.write_text(TOML.replace("proxy", "# proxy", 1))
    quoting = says({"error": {"message": f"no: {KEY} {OTHER} {TEAM}"}}, status)
    async with serving(*[quoting] * 8) as server:
        environ = {**ENVIRON, "VLLM_ENDPOINT": server.url, "VLLM_DEBUG": "1", "PYTHONPATH": str(ROOT)}
        words = ("-m", "chatdev", "build", "greet", "--name", "Greeting", "--model", "VLLM", "--config", "full")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=tmp_path, env=os.environ | environ, stdout=PIPE, stderr=STDOUT
        )
        output = (await process.communicate())[0].decode()
    assert process.returncode in (1, 2)
    assert "Error: " in output
    for secret in (KEY, OTHER, TEAM):
        assert secret not in output + kept(tmp_path / "WareHouse")


@pytest.mark.parametrize("typed", ["http://me:geheim@ho st/", "host/?key=geheim", "ftp://me:geheim@x"])
def test_an_address_that_holds_a_password_is_not_quoted(typed: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"VLLM_ENDPOINT": typed}, tmp_path)
    assert "geheim" not in str(caught.value)


def test_every_kind_of_event_is_cleaned_before_it_is_written(tmp_path: Path) -> None:
    log = Store(tmp_path / "events.jsonl")
    log.redact = runs.redactor(Settings(vllm_api_key=load(ENVIRON, tmp_path).vllm_api_key)).value
    for event in (
        AttemptStopped(1, KEY),
        MessageStored("id", "user", KEY),
        Diagnostic("a.1", "guessed", KEY),
        FileRefused("a.1", KEY, KEY),
        TestsRan("a.1", "d", (), KEY, KEY),
    ):
        assert log.append(event).event == msgspec.convert(
            msgspec.json.decode(msgspec.json.encode(event).replace(KEY.encode(), b"***")), type(event)
        )
    log.close()
    assert KEY.encode() not in log.path.read_bytes()
    assert len(store.read(log.path)) == 5
