"""The reckoning of a prefix cache: whole blocks from the first token, answers too, never the last token."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, recording

from chatdev import runs, wiring
from chatdev.journal.events import ModelAnswered
from chatdev.journal.store import read
from chatdev.models.choose import choose
from chatdev.playback.prefix import PrefixCache
from chatdev.playback.server import Playback
from chatdev.settings import load

HEAD = 16
"""Characters before each message, and before the answer."""


def messages(*texts: str) -> list[tuple[str, str]]:
    return [("user", text) for text in texts]


def test_whole_blocks_of_what_was_sent_before_are_spared() -> None:
    cache = PrefixCache(block=4)  # 16 characters
    prompt = messages("a" * 160)
    assert cache.add(prompt, "") == 0
    assert cache.add(prompt, "") == 4 * (1 + 10)  # not the last block: its last token is computed
    assert cache.add(messages("a" * 100 + "b" * 60), "") == 4 * (1 + 6)
    assert cache.add(messages("b" + "a" * 159), "") == 4


def test_blocks_of_an_answer_are_known_once_they_are_full() -> None:
    cache = PrefixCache(block=4)
    cache.add(messages("q" * 16), "x" * 40)
    again = [("user", "q" * 16), ("assistant", "x" * 40 + "and more of it")]
    assert cache.add(again, "") == 4 * (3 + 2)


@pytest.mark.parametrize("block", [1, 16, 128])
def test_a_prompt_shorter_than_a_block_spares_nothing(block: int) -> None:
    cache = PrefixCache(block)
    cache.add(messages(""), "")
    spared = cache.add(messages(""), "")
    assert spared == (7 if block == 1 else 0)  # of eight tokens


async def test_the_usage_tells_it_and_the_report_sums_it_up(tmp_path: Path) -> None:
    async with Playback(recording(ANSWERS), cache=PrefixCache()) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), tmp_path)
        await wiring.work(folder, choice)
        await choice.backend.aclose()
    answers = [record.event for record in read(runs.log_of(folder)) if isinstance(record.event, ModelAnswered)]
    assert answers[0].cached_tokens == 0
    assert all(answer.cached_tokens is not None for answer in answers)
    assert sum(answer.cached_tokens or 0 for answer in answers) > 1_000
    assert all((answer.cached_tokens or 0) % 16 == 0 for answer in answers)
    assert "from the prefix cache" in (folder / "REPORT.md").read_text()
