"""Streams that are left before their end: what is enough, what is a circle, and that the connection is closed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chatdev.models.backend import VLLMModel
from chatdev.models.early_stop import CIRCLES, ENOUGH, LINES, LOOP, PROSE, Stop, StopCondition, circling, rambling
from chatdev.models.types import EarlyStop, Enough, Message, Options
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.settings import load


def heard(text: str, enough: Enough | None, size: int = 4, *, thinks: bool = False, as_thought: bool = False) -> str:
    """What was heard of a text that comes in pieces, up to the stop; all of it if there is none."""
    stop_condition = StopCondition(enough, thinks=thinks)
    pieces: list[str] = []
    for start in range(0, len(text), size):
        pieces.append(text[start : start + size])
        if stop_condition.check([] if as_thought else pieces, pieces if as_thought else []):
            break
    return "".join(pieces)


def has_info(text: str) -> bool:
    return text.rstrip().endswith("<INFO> Python")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_goes_on_after_enough_is_left(size: int) -> None:
    text = "Because.\n<INFO> Python\n\nLet me explain this at great length.\nAnd more."
    kept = heard(text, has_info, size)
    assert kept.startswith("Because.\n<INFO> Python\n")
    assert size == 1000 or "explain" not in kept


def test_an_answer_that_ends_there_by_itself_is_heard_out() -> None:
    stop_condition = StopCondition(has_info)
    assert stop_condition.check(["<INFO> Python"], []) is None
    assert stop_condition.check(["<INFO> Python", "\n"], []) is None
    assert stop_condition.check(["<INFO> Python", "\n", "\n  "], []) is None
    assert stop_condition.check(["<INFO> Python", "\n", "\n  ", "A"], []) == ENOUGH


def test_only_lines_that_may_conclude_are_asked_about() -> None:
    calls: list[str] = []

    def enough(text: str) -> bool:
        calls.append(text)
        return False

    text = "One.\n\n```\ncode\n```\nTwo.\n<INFO> x\nThree.\n" + "y" * 3000 + "\n"
    assert heard(text, enough) == text
    assert calls == [text[: text.index("code")], text[: text.index("Two")], text[: text.index("Three")]]


def test_thoughts_conclude_nothing() -> None:
    text = "<think>\n<INFO> Python\nor not?\n</think>\n<INFO> Go\nmore"
    assert heard(text, has_info) == text
    beginning_lost = text.removeprefix("<think>")
    assert heard(beginning_lost, has_info) != beginning_lost
    assert heard(beginning_lost, has_info, thinks=True) == beginning_lost
    assert "more" not in heard(text.replace("Go", "Python"), has_info, size=1, thinks=True)


@pytest.mark.parametrize("period", ["x", "the same line\n", "def f():\n    return g()\n\n"])
@pytest.mark.parametrize("as_thought", [False, True])
def test_a_circle_is_left(period: str, as_thought: bool) -> None:
    text = "It begins well.\n" + period * (20_000 // len(period))
    kept = heard(text, None, as_thought=as_thought)
    assert PROSE <= len(kept) <= LOOP + 1_100
    fenced = heard(f"```\n{text}", None)
    assert LOOP <= len(fenced) <= LOOP + 1_100


def test_what_only_looks_like_one_is_not() -> None:
    assert not circling("x" * (LOOP - 1))
    rows = "".join(f"row {number}: 0, 0, 0, 0, 0, 0, 0, 0\n" for number in range(400))
    assert not circling(rows[-LOOP:])
    long = "".join(f"line {number} of a block\n" for number in range(30))
    assert not circling((long * 20)[-LOOP:])  # not even ten times
    assert heard(rows, None) == rows


SENTENCE = "The parser does not check whether its input is a number, so that it may raise an error. "
WEATHER = ("light rain", "heavy snow", "a cold wind from the north", "thick fog and no wind at all", "hail")


def changing(number: int) -> str:
    """A line of a list that goes on for ever, with a little that changes each time."""
    weather = " followed by ".join(WEATHER[(number * step) % 5] for step in range(1, 2 + number % 7))
    return f"- The forecast does not handle a day that begins with {weather}, which spoils the picnic of the club.\n"


@pytest.mark.parametrize(
    "line",
    [
        lambda number: SENTENCE,
        lambda number: SENTENCE.rstrip() + "\n\n",
        lambda number: f"{number}. {SENTENCE.rstrip()}\n",
        lambda number: f"{number}. {SENTENCE.rstrip()}\n\n",
        changing,
        lambda number: f"and {('so', 'on', 'again')[number * number % 3]} on and so ",
    ],
    ids=["sentence", "line", "numbered", "numbered, with empty lines", "a little changed", "words in any order"],
)
@pytest.mark.parametrize("as_thought", [False, True])
def test_sentences_in_circles_are_left_sooner(line: Callable[[int], str], as_thought: bool) -> None:
    text = "It begins well.\n" + "".join(map(line, range(400)))
    assert PROSE <= len(heard(text, None, as_thought=as_thought)) <= 3_000


CELLS = '<div class="cell" role="button" tabindex="0"><span>empty</span></div>\n' * 45
CASES = "".join(
    f"    self.assertEqual(calculator.add({n}, {n}), {2 * n}, 'the sum of two equal numbers')\n" for n in range(80)
)
STEPS = "".join(
    f"{number}. {verb} the table in the kitchen.\n"
    for number, verb in enumerate(["Wash", "Dry", "Polish", "Move", "Turn", "Paint", "Sell", "Mend"] * 5)
)


@pytest.mark.parametrize("text", [CELLS, CASES], ids=["cells of a breakers", "cases of a test"])
def test_code_may_say_the_same_many_times(text: str) -> None:
    fenced = f"index.html\n```html\n{text}```\nThat is all.\n"
    assert heard(fenced, None) == fenced
    assert rambling(text[-LOOP:])  # what makes the difference is the fence


def test_lists_and_tables_are_no_circles() -> None:
    table = "".join(f"| {number} | {number * number} | {number % 7} |\n" for number in range(200))
    alike = "".join(f"{n}. {SENTENCE.strip()}\n" for n in range(LINES - 2))
    for text in (STEPS, table, f"# Findings\n{alike}That is all that I have found in these files.\n" * 1):
        assert heard(text, None) == text


def test_a_needle_that_also_stands_inside_a_period_does_not_hide_the_circle() -> None:
    period = "a" * 70 + "b" + "a" * 80 + "c"
    assert circling((period * 60)[-LOOP - 2 : -2])
    assert circling((period * 60)[-LOOP:])


LONG = "Because.\n<INFO> Python\n\n" + " ".join(f"Reason {number}." for number in range(400))
ROUND = "It begins.\n" + "and again\n" * 3_000


async def ask(endpoint: str, tmp_path: Path, options: Options, twice: bool = True) -> list[tuple[str, str, Stop]]:
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": endpoint}, tmp_path))
    answers = [await model.complete([Message("user", "ask")], options) for _ in range(1 + twice)]
    async with asyncio.timeout(20):
        while SERVERS[0].in_flight:  # the backend still lives, and so would a connection that nobody closed
            await asyncio.sleep(0.01)
    await model.aclose()
    return [(each.text, each.receipt.stopped, Stop(each.finish_reason, str(each.usage.estimated))) for each in answers]


SERVERS: list[Playback] = []


def server(text: str, *manners: FaultSpec) -> Playback:
    SERVERS[:] = [Playback(Recording(entries=(Entry(when="", text=text),)), manners=manners)]
    return SERVERS[0]


async def test_the_server_sees_the_connection_close_and_the_tokens_are_reckoned(tmp_path: Path) -> None:
    options = Options(early=EarlyStop(has_info))
    async with server(LONG, FaultSpec(per_token=0.0005)) as endpoint:
        first, second = await ask(endpoint, tmp_path, options)
    assert first == (LONG, "", Stop("stop", "False"))  # an endpoint's first answer is heard out
    assert second[1:] == (ENOUGH.why, Stop("stop", "True"))
    assert "<INFO> Python\n" in second[0]
    assert len(second[0]) < len(LONG) / 2


async def test_a_circle_ends_at_once_as_a_limit_would_end_it(tmp_path: Path) -> None:
    async with server(ROUND, FaultSpec(per_token=0.0001)) as endpoint:
        (text, why, stop) = (await ask(endpoint, tmp_path, Options(max_tokens=9_000, early=EarlyStop()), twice=False))[
            0
        ]
    assert (why, stop) == (CIRCLES.why, Stop("length", "True"))
    assert PROSE <= len(text) < len(ROUND) / 2


@pytest.mark.parametrize(
    "options", [Options(max_tokens=9_000), Options(stream=False, max_tokens=9_000, early=EarlyStop())]
)
async def test_without_leave_or_a_stream_an_answer_is_heard_out(tmp_path: Path, options: Options) -> None:
    async with server(ROUND) as endpoint:
        assert (await ask(endpoint, tmp_path, options))[1][:2] == (ROUND, "")
