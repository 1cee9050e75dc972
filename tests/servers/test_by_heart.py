"""The whole of it, end to end: a real model, served by a stock vLLM, builds two programs that pass their tests.

The model is trained here, on what the company is told and answers when the recordings are played. It knows nothing
else, so that the command line, prompts, chat template, tokens, streams, stop tokens, choices and window all have to be
right for it to pass.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import lessons
import pytest
import server_process
import vllm_cpu
import whole_run
from lessons import Lesson

pytestmark = pytest.mark.servers

TASKS = {"HelloWorld": "create a hello world program", "Calculator": "create a calculator"}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Lesson, ...]]:
    """The lessons of each project, by its name."""

    async def play() -> dict[str, tuple[Lesson, ...]]:
        return {name: await lessons.lessons(task, name, tmp_path_factory.mktemp(name)) for name, task in TASKS.items()}

    return asyncio.run(play())


@pytest.fixture(scope="module")
def scholar(taught: dict[str, tuple[Lesson, ...]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a vLLM that serves a model which knows them all by heart."""
    folder, model = tmp_path_factory.mktemp("scholar"), tmp_path_factory.mktemp("model")
    source = lessons.write(folder / "lessons.jsonl", [lesson for each in taught.values() for lesson in each])
    script = server_process.ROOT / "tests" / "servers" / "memorise.py"
    server_process.run("python", script, source, model, folder=folder, timeout=3600)
    with vllm_cpu.running(model, folder) as url:
        yield url


@pytest.mark.parametrize("name", TASKS)
def test_a_project_passes_on_a_real_model(
    name: str, scholar: str, taught: dict[str, tuple[Lesson, ...]], tmp_path: Path
) -> None:
    ran = whole_run.run(tmp_path, scholar, task=TASKS[name], name=name)
    # What is asked side by side is answered in any order.
    assert sorted(answer.text for answer in ran.answers) == sorted(lesson.answer for lesson in taught[name])
    assert "Verdict: passed" in ran.said
    assert ran.status == 0
    for answer in ran.answers:
        assert (answer.finish_reason, answer.tries, answer.adapted, answer.cuts) == ("stop", 1, (), ())
        assert not answer.estimated
