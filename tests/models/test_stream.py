"""Every dialect of the protocol's answer becomes the same value."""

import json

import pytest
from helpers.fake_server import delta, hello, sse, usage, whole
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


def test_no_usage_is_reported_as_none() -> None:
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
        sse(delta(content="Hel"), delta(content="lo"), done=False),
        sse(delta(role="assistant")),
        sse(delta(reasoning="hm")),
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


def test_news_are_reported_once_and_by_kind() -> None:
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


ODD_TYPES = {
    "counts as text and as floats": {"usage": {"prompt_tokens": "9", "completion_tokens": 2.0}},
    "details that are a number": {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": 3}},
    "an index as text": {"choices": [{"index": "0", "delta": {"content": ""}}]},
    "a usage that is a list": {"choices": [{"delta": {}}], "usage": [1]},
    "a finish reason that is an object": {"choices": [{"delta": {}, "finish_reason": {"type": "stop", "matched": 7}}]},
    "a choice that is no list": {"choices": {"delta": {"content": ""}}},
    "an id and a date of any type": {"id": 7, "created": "1700000000", "model": ["m"], "choices": []},
    "logprobs, and no delta": {"choices": [{"delta": None, "logprobs": 5}]},
    "a number for a chunk": 7,
    "nothing for a chunk": None,
}


@pytest.mark.parametrize("odd", ODD_TYPES.values(), ids=ODD_TYPES)
def test_what_an_answer_does_not_need_may_be_of_any_type(odd: object) -> None:
    answer = read(sse(delta(content="Hel"), odd, delta(content="lo"), delta("stop"), usage()))
    assert (answer.text, answer.finish_reason, answer.usage) == ("Hello", "stop", Usage(9, 2))
    answer = read(sse(delta(content="Hello"), delta("stop"), odd))
    assert (answer.text, answer.finish_reason) == ("Hello", "stop")
    if isinstance(odd, dict) and isinstance(odd.get("usage"), dict):
        assert answer.usage == Usage(9, 2)


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], "Hello", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "Hello"}], "Hello", "hm"),
        ({"type": "text", "text": "Hello"}, "Hello", ""),
        (["Hel", "lo", 7, None], "Hello", ""),
    ],
)
def test_content_in_parts_is_joined(content: object, text: str, reasoning: str) -> None:
    answer = read(sse(delta(content=content), delta("stop")))
    assert (answer.text, answer.reasoning) == (text, reasoning)
    message = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    assert read(json.dumps(message).encode()).text == text


@pytest.mark.parametrize("place", ["text", "delta", "message"])
def test_a_text_beside_the_message_is_the_text(place: str) -> None:
    assert read(sse({"choices": [{place: "Hello", "finish_reason": "stop"}]})).text == "Hello"
    assert read(json.dumps({"choices": [{place: "Hello", "finish_reason": None}]}).encode()).text == "Hello"


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("stop STOP eos_token end_turn COMPLETE stop_sequence eosFound FINISH", "stop"),
        ("length MAX_TOKENS max_tokens model_length maxPredictedTokensReached limit", "length"),
        ("content_filter SAFETY RECITATION sensitive refusal ERROR_TOXIC", "content_filter"),
        ("tool_calls function_call tool_use", "tool_calls"),
    ],
)
def test_every_servers_word_for_the_end_has_one_meaning(words: str, meaning: str) -> None:
    for word in words.split():
        answer = read(sse(delta(content="Hello"), delta(word)))
        assert (answer.finish_reason, answer.notes) == (meaning, ())


def test_an_unknown_word_for_the_end_is_noted_and_the_answer_is_whole() -> None:
    answer = read(sse(delta(content="Hello"), delta("because")))
    assert (answer.text, answer.finish_reason) == ("Hello", "stop")
    assert answer.notes == ('the finish reason "because" is unknown; the answer counts as whole',)


def test_the_end_mark_after_a_text_counts_as_its_end_and_is_noted() -> None:
    answer = read(sse(delta(content="Hel"), delta(content="lo")))
    assert (answer.text, answer.finish_reason, answer.end_assumed) == ("Hello", "stop", True)
    assert answer.notes == ("the server sent no finish reason; its end mark counts",)


@given(st.lists(st.integers(0, 700), max_size=12), st.booleans())
def test_a_byte_order_mark_and_lines_that_end_with_cr_alone_change_nothing(cuts: list[int], mark: bool) -> None:
    events = [delta(content="Grüße 👋\n"), delta("length"), usage()]
    data = (b"\xef\xbb\xbf" if mark else b"") + b": ping\r\r" + sse(*events, end="\r\r")
    answer = read(data, *cuts)
    assert (answer.text, answer.finish_reason, answer.usage) == ("Grüße 👋\n", "length", Usage(9, 2))


def test_a_byte_order_mark_before_json_changes_nothing() -> None:
    data = b" \xef\xbb\xbf" + json.dumps(whole("Hi")).encode()
    for cuts in ((), (1,), (2,), (3,), (4, 5, 6)):
        assert read(data, *cuts).text == "Hi"
    for nothing in (b"", b" ", b"\xef\xbb\xbf", b"\xef"):
        with pytest.raises(CutShort):
            read(nothing)


def test_a_character_whose_bytes_are_split_over_chunks_is_one_character() -> None:
    raw = "👋é".encode()
    chunks = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % raw[cut : cut + 2] for cut in (0, 2, 4)]
    assert read(b"".join(chunks) + sse(delta("stop"))).text == "👋é"


@pytest.mark.parametrize("done", [True, False])
def test_one_json_object_per_line_is_a_stream(done: bool) -> None:
    lines = [json.dumps(each) for each in (delta(content="Hel"), delta(content="lo"), delta("stop"), usage())]
    reader = AnswerReader()
    reader.feed(f"{lines[0]}\n".encode())
    assert reader.news() == [("text", "Hel")]  # it shows as it comes
    for line in lines[1:]:
        reader.feed(f"{line}\n".encode())
    answer = reader.close()
    assert isinstance(answer, ServerAnswer)
    assert (answer.text, answer.usage, answer.streamed) == ("Hello", Usage(9, 2), True)
    one = read(json.dumps(whole("Hi")).encode() + b"\n" * done)
    assert (one.text, one.streamed) == ("Hi", False)


def test_a_broken_line_of_json_lines_is_a_refusal() -> None:
    outcome = outcome_of(json.dumps(delta(content="Hel")).encode() + b'\n{"choi\n' + json.dumps(delta("stop")).encode())
    assert isinstance(outcome, Refusal) and "cannot be read" in outcome.message


@pytest.mark.parametrize("word", ["error", "abort", "ABORT", "insufficient_system_resource"])
def test_an_answer_that_ended_with_an_error_is_a_failure_streamed_or_not(word: str) -> None:
    message = whole("Half an ans") | {"choices": [{"message": {"content": "Half"}, "finish_reason": word}]}
    for data in (sse(delta(content="Half"), delta(word), usage()), json.dumps(message).encode()):
        outcome = outcome_of(data)
        assert isinstance(outcome, Refusal)
        assert (outcome.status, outcome.within_answer, word in outcome.message) == (500, True, True)


ERROR = {"message": "engine died", "code": 503}


@pytest.mark.parametrize(
    "chunk",
    [
        delta() | {"error": ERROR},
        delta(content="x") | {"error": ERROR},
        {"choices": [{"index": 0, "delta": {}, "error": ERROR, "finish_reason": "stop"}]},
        {"choices": [], "error": ERROR},
        [{"error": ERROR}],
    ],
)
def test_an_error_beside_or_inside_the_choices_is_a_failure(chunk: object) -> None:
    streamed, lone = outcome_of(sse(delta(content="Hel"), chunk, delta("stop"))), outcome_of(json.dumps(chunk).encode())
    for outcome in (streamed, lone, outcome_of(b'error: {"error": %b}\n\n' % json.dumps(ERROR).encode())):
        assert isinstance(outcome, Refusal)
        assert (outcome.status, outcome.message, outcome.within_answer) == (503, "engine died", True)


@pytest.mark.parametrize("empty", [None, {}, "", {"code": 0, "message": ""}, {"code": None, "message": None}])
def test_an_empty_error_is_none(empty: object) -> None:
    assert read(sse(delta(content="Hello") | {"error": empty}, delta("stop"))).text == "Hello"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "too long", "type": "invalid_request_error"}, 400),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, 429),
        ({"message": "busy", "type": "overloaded_error"}, 503),
        ({"message": "died", "code": 500.0}, 500),
        ({"message": "died", "code": [1]}, 500),
    ],
)
def test_an_error_without_a_status_has_that_of_its_type(error: object, status: int) -> None:
    outcome = outcome_of(sse({"error": error}))
    assert isinstance(outcome, Refusal) and outcome.status == status


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"content": None, "tool_calls": [{"function": {"arguments": "{}"}}]}, "tool_calls"),
        ({"content": "", "refusal": "I must not."}, "refusal"),
        ({"content": "", "reasoning": "hm"}, "reasoning"),
        ({"content": "<think>hm</think>"}, "<think>"),
        ({"content": "Hi", "tool_calls": [1]}, ""),
        ({"content": ""}, ""),
    ],
)
def test_an_empty_answer_says_where_its_text_was(message: dict[str, object], field: str) -> None:
    assert read(sse({"choices": [{"delta": message}]}, delta("stop"))).text_in == field
