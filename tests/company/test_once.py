"""The company that asks once: what it sends, and what it takes for the program."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.support import Ran, recording, run

from chatdev import runs, wiring
from chatdev.agents import snippets
from chatdev.company import config
from chatdev.company.config import CompanyError
from chatdev.journal import store
from chatdev.journal.events import ModelAnswered
from chatdev.models.choose import choose
from chatdev.playback.server import Playback
from chatdev.settings import load

CODING = "Coding.1/Programmer.1/ask.1"
TASK = 'Write  a program.\n\n```json\n{"a": 1}\n```\n\nIt says {{ "hello" }}.'


async def ask(folder: Path, answer: str, *, sample: int = 0, config: str = "once") -> tuple[Ran, list[dict[str, Any]]]:
    """A run on one recorded answer, and the bodies of all requests for a chat that it sent."""
    notes: list[str] = []
    async with Playback(recording({CODING: answer})) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, folder))
        choice.backend.debug = notes.append
        order = runs.RunRequest(task=TASK, name="Greeting", config=config, sample=sample)
        begun = runs.begin(order, folder)
        verdict = await wiring.work(begun, choice)
        await choice.backend.aclose()
    bodies = [json.loads(text[text.index('{"') :]) for text in notes if '"messages"' in text]
    return Ran(begun, verdict, store.read(runs.log_of(begun))), bodies


async def test_the_task_alone_is_sent_and_the_first_block_is_the_program(tmp_path: Path) -> None:
    ran, (body,) = await ask(
        tmp_path, "Here it is:\n```\nprint('hello')\n```\nAnd a test:\n```python\nassert True\n```\n"
    )
    assert body["messages"] == [{"role": "user", "content": TASK}]
    assert body["temperature"] == 0
    assert (ran.folder / "main.py").read_text() == "print('hello')\n"
    assert ran.verdict.verdict == "starts (not tested)"


async def test_an_answer_without_code_is_asked_for_no_second_time(tmp_path: Path) -> None:
    ran, bodies = await ask(tmp_path, "I would rather not.")
    assert len(bodies) == 1 and len(ran.events(ModelAnswered)) == 1
    assert ran.verdict.verdict == "not run (no program was written)"
    assert not (ran.folder / "main.py").exists()


@pytest.mark.parametrize(
    ("sample", "temperature", "seed"), [(0, 0, None), (1, 0, 1), (2, 0.8, 2), (5, 0.8, 5)], ids=str
)
async def test_each_sample_has_its_seed_and_all_but_the_first_differ(
    tmp_path: Path, sample: int, temperature: float, seed: int | None
) -> None:
    ran, (body,) = await ask(tmp_path, "```\nprint(1)\n```", sample=sample)
    assert (body["temperature"], body.get("seed")) == (temperature, seed)
    assert runs.started(ran.records, ran.folder).sample == sample


async def test_a_language_that_no_one_here_can_run_makes_no_program(tmp_path: Path) -> None:
    sources = dict(config.read(config.find("once")))
    requests = config.read(config.find("default"))["company.toml"].partition("[requests]")[2]
    head = sources["company.toml"].replace("[[chain]]", '[[chain]]\nphase = "Choose"\n\n[[chain]]', 1)
    sources["company.toml"] = f"{head}\n[requests]{requests}"
    sources["phases/Choose.md"] = (
        '+++\nassistant = "Programmer"\nuser = "Chief Technology Officer"\nkind = "choice"\nsets = "language"\n'
        'options = ["Fortran"]\n+++\nWhich language?\n'
    )
    config.write(sources, tmp_path / "mine")
    answers = {"Choose.1/Programmer.1/ask.1": "<INFO> Fortran", CODING: "print *, 1"}
    ran = await run(tmp_path, recording(answers), config=str(tmp_path / "mine"))
    assert ran.verdict.verdict == "not run (no program was written)" and "Fortran" in ran.verdict.why


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```js\nlet x = 1\n```\n```python\nx = 1\n```", "let x = 1\n"),
        ("<think>```\nno\n```</think>\n```\nyes()\n```", "yes()\n"),
        ("```\nx = 1\ny =", "x = 1\ny =\n"),
        ("```\n\n```", ""),
        ("x = 1", None),
    ],
)
def test_the_first_block(answer: str, code: str | None) -> None:
    assert snippets.first_block(answer) == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [("x = 1\nprint(x)", "x = 1\nprint(x)\n"), ("Sure, here it is.", None), ("", None), ("# x", None)],
)
def test_a_bare_answer_that_is_a_program(answer: str, code: str | None) -> None:
    assert snippets.bare_python(answer) == code


async def test_a_bare_program_is_taken_whole(tmp_path: Path) -> None:
    ran, _ = await ask(tmp_path, "import sys\nprint(sys.argv)\n")
    assert (ran.folder / "main.py").read_text() == "import sys\nprint(sys.argv)\n"


def test_only_a_company_that_never_asks_again_does_without_requests(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(config.BUILT_IN / "once", tmp_path / "mine"))
    phase = folder / "phases" / "Coding.md"
    phase.write_text(phase.read_text().replace("snippet", "code"))
    with pytest.raises(CompanyError, match="requests: expected a table"):
        config.load(folder)
