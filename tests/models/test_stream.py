"""Every dialect of the protocol's answer becomes the same value."""

import json

import pytest
from fake_server import delta, hello, sse, usage, whole
from hypothesis import given
from hypothesis import strategies as st

from chatdev.models.errors import CutShort
from chatdev.models.refusals import Refusal
from chatdev.models.stream import AnswerReader, ServerAnswer, split_reasoning
from chatdev.receipt import Usage


def read(data: bytes, *cuts: int) -> ServerAnswer:
    """The answer in ``data``, fed in pieces that end at ``cuts``."""
    outcome = outcome_of(data, *cuts)
    assert isinstance(outcome, ServerAnswer)
    return outcome


def outcome_of(data: bytes, *cuts: int) -> ServerAnswer | Refusal:
    reader, start = AnswerReader(), 0
    for cut in [*sorted(cuts), len(data)]:
        reader.feed(data[start:cut])
        start = cut
    return reader.close()


def test_a_stream_as_vllm_sends_it_gives_text_finish_reason_usage_and_names() -> None:
    answer = read(hello())
    assert (answer.text, answer.finish_reason, answer.pieces) == ("Hello", "stop", 2)
    assert answer.usage == Usage(9, 2)
    assert (answer.id, answer.created, answer.model) == ("chatcmpl-1", 0, "")


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from(["\n\n", "\r\n\r\n", "\n"]))
def test_it_does_not_matter_where_the_network_cuts_or_how_lines_end(cuts: list[int], end: str) -> None:
    events = [delta(content="Grüße 👋\n"), delta(reasoning="hm"), delta("length"), usage()]
    answer = read(b": ping\n\nevent: message\nid: 7\n" + sse(*events, end=end), *cuts)
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("Grüße 👋\n", "hm", "length")


def test_one_byte_at_a_time_is_as_good_as_all_at_once() -> None:
    raw = json.dumps(delta(content="Grüße 👋"), ensure_ascii=False).encode()
    data = b"data:" + raw + b"\r\n\r\n" + sse(delta("stop"))
    assert read(data, *range(len(data))) == read(data)
    assert read(data).text == "Grüße 👋"


def test_an_event_of_several_data_lines_is_joined() -> None:
    pretty = json.dumps(delta(content="Hi"), indent=1)
    data = "".join(f"data: {line}\n" for line in pretty.splitlines()) + "\n"
    assert read(data.encode() + sse(delta("stop"))).text == "Hi"


def test_usage_beside_a_non_empty_choice_counts() -> None:
    litellm = delta("stop") | {"usage": None}, {"choices": [{"delta": {}}], "usage": usage()["usage"]}
    assert read(sse(delta(content="x"), *litellm)).usage == Usage(9, 2)


def test_a_stream_may_end_without_its_end_mark_and_without_a_line_end() -> None:
    last = delta("stop") | {"usage": usage()["usage"]}
    assert read(sse(delta(content="x"), last, done=False).rstrip()).usage == Usage(9, 2)


def test_cached_and_reasoning_tokens_are_taken_over() -> None:
    counts = usage(prompt_tokens_details={"cached_tokens": 8}, completion_tokens_details={"reasoning_tokens": 1})
    assert read(sse(delta(content="x"), delta("stop"), counts)).usage == Usage(9, 2, 8, 1)
    nulls = usage(prompt_tokens_details=None, completion_tokens_details={"reasoning_tokens": None})
    assert read(sse(delta("stop"), nulls)).usage == Usage(9, 2)


def test_no_usage_is_told_as_none() -> None:
    assert read(sse(delta(content="x"), delta("stop"))).usage is None
    assert read(sse(delta("stop"), {"choices": [], "usage": {"prompt_tokens": None}})).usage is None


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_has_two_names_and_is_no_text(name: str) -> None:
    events = delta(content=None, **{name: "let me "}), delta(**{name: "see"}), delta(content="4"), delta("stop")
    answer = read(sse(*events))
    assert (answer.reasoning, answer.text) == ("let me see", "4")


def test_only_the_first_of_several_choices_is_read() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    assert read(sse(delta(content="yes"), other, delta("stop"))).text == "yes"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>\nhm\n</think>\n\n4", "hm", "4"),
        ("  <think>hm</think>4", "hm", "4"),
        ("<think>\nhm, this never en", "hm, this never en", ""),
        ("hm\n</think>\n4", "hm", "4"),
        ("<think></think>4", "", "4"),
        ("4", "", "4"),
        ("The tag <think> opens and </think> closes.", "", "The tag <think> opens and </think> closes."),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("\n4\n", "", "\n4\n"),
    ],
)
def test_a_think_block_at_the_start_is_reasoning(text: str, reasoning: str, answer: str) -> None:
    assert split_reasoning(text) == (reasoning, answer)
    half = len(text) // 2
    streamed = read(sse(delta(content=text[:half]), delta(content=text[half:]), delta("stop")))
    assert (streamed.reasoning, streamed.text) == (reasoning, answer)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_whole_answer_in_place_of_a_stream_is_read(indent: int | None) -> None:
    answer = read(json.dumps(whole("Hi", reasoning="hm"), indent=indent).encode(), 1, 30)
    assert (answer.text, answer.reasoning, answer.finish_reason, answer.usage) == ("Hi", "hm", "stop", Usage(9, 2))


def test_null_content_is_no_text() -> None:
    answer = whole() | {"choices": [{"message": {"content": None, "reasoning": "hm"}, "finish_reason": "length"}]}
    assert (read(json.dumps(answer).encode()).text, read(json.dumps(answer).encode()).finish_reason) == ("", "length")


def test_a_whole_answer_without_a_finish_reason_is_whole_all_the_same() -> None:
    answer = whole() | {"choices": [{"message": {"content": "Hi"}}], "created": "now"}
    assert (read(json.dumps(answer).encode()).finish_reason, read(json.dumps(answer).encode()).created) == ("stop", 0)


@pytest.mark.parametrize(
    "data",
    [
        sse(delta(content="Hel"), delta(content="lo")),
        sse(delta(content="Hel"), done=False) + b'data: {"choices": [{"delta": {"cont',
        b"",
        b": ping\n\n",
        b'{"object": "something else"}',
    ],
)
def test_without_a_finish_reason_it_is_no_answer(data: bytes) -> None:
    with pytest.raises(CutShort, match="finish reason"):
        if isinstance(outcome := outcome_of(data), Refusal):
            raise CutShort(f"no finish reason: {outcome.message}")


@pytest.mark.parametrize(
    ("event", "status", "words"),
    [
        ({"error": {"message": "EngineCore died", "code": 500}}, 500, "EngineCore died"),
        ({"error": {"message": "too long", "code": "400"}}, 400, "too long"),
        ({"error": "died"}, 500, "died"),
        ({"object": "error", "message": "died", "code": 400}, 500, "died"),
    ],
)
def test_an_error_object_inside_a_stream_is_a_refusal_whatever_follows(event: object, status: int, words: str) -> None:
    outcome = outcome_of(sse(delta(content="Hel"), event))
    assert isinstance(outcome, Refusal)
    assert (outcome.status, outcome.message) == (status, words)


def test_what_is_no_json_is_a_refusal_that_quotes_it() -> None:
    outcome = outcome_of(sse(delta(content="Hel"), "{broken", delta("stop")))
    assert isinstance(outcome, Refusal)
    assert (outcome.status, "{broken" in outcome.message, outcome.html) == (500, True, False)
    page = outcome_of(b"<!doctype html><title>Hello</title>\n")
    assert isinstance(page, Refusal) and page.html


def test_half_an_emoji_in_each_of_two_tokens_is_one_emoji() -> None:
    first, second = '{"choices":[{"delta":{"content":"\\ud83d"}}]}', '{"choices":[{"delta":{"content":"\\udc4b"}}]}'
    assert read(sse(first, second, delta("stop"))).text == "👋"
    assert read(sse(first, delta("stop"))).text == "\ufffd"


def test_broken_utf_8_is_replaced() -> None:
    data = b'data: {"choices":[{"delta":{"content":"a\xffb"}}]}\n\n' + sse(delta("stop"))
    assert read(data).text == "a\ufffdb"


def test_news_are_told_once_and_by_kind() -> None:
    reader = AnswerReader()
    reader.feed(sse(delta(reasoning="hm"), delta(content="a"), delta(content="b"), done=False))
    assert reader.news() == [("reasoning", "hm"), ("text", "ab")]
    assert reader.news() == []


def test_news_inside_a_think_block_are_reasoning() -> None:
    reader, kinds = AnswerReader(), []
    for piece in (" ", "<think>", "hm", "</thi", "nk>", "4"):
        reader.feed(sse(delta(content=piece), done=False))
        kinds += [kind for kind, _ in reader.news()]
    assert kinds == ["text", "reasoning", "reasoning", "reasoning", "reasoning", "text"]


def test_the_end_mark_and_the_finish_reason_show_as_soon_as_they_came() -> None:
    reader = AnswerReader()
    reader.feed(sse(delta("stop"), done=False))
    assert (reader.finish_reason, reader.done) == ("stop", False)
    reader.feed(sse())
    assert reader.done
