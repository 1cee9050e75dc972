"""Tokens are estimated without a tokenizer, from above, and the estimate learns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdev.models import fitting
from chatdev.models.errors import WindowTooSmall
from chatdev.models.fitting import Doubt, Fitted, TokenEstimator
from chatdev.models.types import Message, Part

LONG = [Message("user", "word " * 1000)]


def test_other_scripts_weigh_more_than_ascii() -> None:
    assert fitting.weight("a" * 100) == 40
    assert fitting.weight("漢" * 100) == 150
    assert fitting.weight("👋" * 100) == 200
    assert fitting.weight("a漢") == pytest.approx(0.4 + 1.5)
    assert fitting.weight("\ud83d") > 0  # half a surrogate pair must not raise


@given(st.text(), st.text())
def test_a_longer_text_never_weighs_less(text: str, more: str) -> None:
    assert fitting.weight(text + more) >= fitting.weight(text)


def test_every_message_costs_something() -> None:
    assert fitting.prompt_weight([Message("user", "")] * 3) > fitting.prompt_weight([Message("user", "")])


def test_a_count_beyond_the_span_widens_it_at_once() -> None:
    counted = 3 * TokenEstimator().span(LONG)[1]
    low, high = TokenEstimator().learn(LONG, counted).span(LONG)
    assert high >= 1.1 * counted
    assert low >= TokenEstimator().span(LONG)[0]
    assert TokenEstimator().learn(LONG, 100).span(LONG)[0] <= 100


def test_the_span_closes_in_on_what_is_counted_again_and_again() -> None:
    estimator = TokenEstimator()
    for _ in range(40):
        estimator = estimator.learn(LONG, 1000)
    low, high = estimator.span(LONG)
    assert 890 <= low <= 1000 <= high <= 1110


def test_small_prompts_and_no_counts_teach_nothing() -> None:
    assert TokenEstimator().learn([Message("user", "hi")], 500) == TokenEstimator()
    assert TokenEstimator().learn(LONG, 0) == TokenEstimator()


@pytest.mark.parametrize(
    ("ceiling", "window", "prompt", "answer"),
    [
        (4096, None, 99999, 4096),
        (4096, 8192, 1000, 4096),
        (4096, 8192, 7000, 1192),
        (4096, 8192, 8000, fitting.MINIMUM_ANSWER),
        (100, 8192, 8192, 100),
    ],
)
def test_an_answer_gets_what_the_window_leaves(ceiling: int, window: int | None, prompt: int, answer: int) -> None:
    assert fitting.clamp(ceiling, window, prompt) == answer


def test_what_cannot_fit_is_reported_with_its_arithmetic() -> None:
    fitting.require(4096, 1000, 744)
    fitting.require(100, 1000, 900)
    fitting.require(4096, None, 10**9)
    with pytest.raises(
        WindowTooSmall, match=r"takes about 745 tokens.* 256, together about 1001; .* has 1000\."
    ) as error:
        fitting.require(4096, 1000, 745)
    assert "at least 8192 tokens" in error.value.do
    assert error.value.exit_status == 2
    assert "takes 745 tokens" in str(fitting.too_small(256, None, 745, counted=True))


def cuttable(letter: str, rank: int, size: int = 2500, shorter: str = "-") -> Part:
    return Part(letter * size, letter, rank, "shortened", lambda: shorter)


def joined(*parts: Part) -> Message:
    return Message("user", "".join(part.text for part in parts), parts)


@pytest.mark.parametrize(("window", "roomy"), [(8192, True), (8000, False), (None, True)])
def test_room_is_plenty_where_a_quarter_of_it_does(window: int | None, roomy: bool) -> None:
    assert fitting.roomy(LONG, window) is roomy


def test_parts_are_cut_by_rank_and_no_more_than_needed() -> None:
    talk = [Message("system", "S"), joined(Part("("), cuttable("a", 2), cuttable("b", 1), Part(")"), cuttable("c", 3))]
    assert fitting.fit(talk, TokenEstimator(), 4096, 8192) == Fitted(tuple(talk))
    assert fitting.fit(talk, TokenEstimator(), 4096, None) == Fitted(tuple(talk))
    fitted = fitting.fit(
        talk, TokenEstimator(), 4096, 3400
    )  # a third is the answer's; b is cut, and then there is room
    assert fitted.messages == (talk[0], Message("user", f"({'a' * 2500}-){'c' * 2500}"))
    assert fitted.cuts == ("b shortened (1 of 2,500 characters)",)
    assert len(fitting.fit(talk, TokenEstimator(), 4096, 1000).cuts) == 3


def test_a_part_that_grows_no_shorter_stays() -> None:
    talk = [joined(cuttable("a", 1, size=2500, shorter="b" * 2500))]
    assert fitting.fit(talk, TokenEstimator(), 4096, 600) == Fitted(tuple(talk))


def test_a_small_answer_asks_for_no_more_room_than_it_needs() -> None:
    talk = [joined(cuttable("a", 1))]
    assert not fitting.fit(talk, TokenEstimator(), 100, 1200).cuts
    assert fitting.fit(talk, TokenEstimator(), 4096, 1200).cuts


def test_what_was_cut_in_vain_is_reported() -> None:
    with pytest.raises(WindowTooSmall, match="tried: cut to fit: a shortened"):
        fitting.require(4096, 1000, 9000, cuts=["a shortened"])


@pytest.mark.parametrize(
    ("span", "counted", "doubt"),
    [
        ((9_000, 11_000), 4_999, Doubt.CERTAIN),
        ((9_000, 11_000), 5_000, Doubt.SOME),
        ((9_000, 11_000), 6_667, Doubt.NONE),
        ((900, 1_000), 10, Doubt.SOME),
    ],
)
def test_a_prompt_that_a_server_cut_without_a_word_is_noticed(
    span: tuple[int, int], counted: int, doubt: Doubt
) -> None:
    assert fitting.doubt(span, counted) is doubt
