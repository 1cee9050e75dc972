"""What is asked, and how it is changed for a server that will not have it so."""

from typing import Any

import pytest

from chatdev.models import refusals, request
from chatdev.models.types import Message, Options

TALK = [Message("system", "S"), Message("user", "a"), Message("user", "b"), Message("assistant", "c")]


def body(options: Options | None = None, *made: str) -> dict[str, Any]:
    return request.body("m", TALK, options or Options(), 100, frozenset(made))


def change(message: str, *made: str, status: int = 400, param: str = "", **extra: Any) -> str | None:
    """The adaptation to a refusal of a request."""
    sent = body(Options(stop=("x",), seed=1, extra=extra), *made)
    refusal = refusals.Refusal(status, message, param=param)
    return request.adaptation(refusal, sent, TALK, frozenset(made))


def test_only_what_is_needed_is_sent() -> None:
    assert body() | {"messages": 0} == {
        "model": "m",
        "messages": 0,
        "temperature": 0.2,
        "top_p": 1.0,
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_options_join_the_body() -> None:
    sent = body(Options(stop=("x",), seed=7, stream=False, extra={"top_k": 1}))
    assert (sent["stop"], sent["seed"], sent["top_k"], sent["stream"]) == (("x",), 7, 1, False)
    assert "stream_options" not in sent


def test_choices_are_asked_for_in_the_form_that_most_servers_know() -> None:
    form = body(Options(choices=("Go", "C")))["response_format"]
    assert form["json_schema"]["schema"]["properties"]["choice"]["enum"] == ["Go", "C"]
    assert change("response_format is not supported", response_format=form) == "without response_format"
    assert "response_format" not in body(Options(choices=("Go",)), "without response_format")


def test_vllm_is_asked_for_a_bare_choice() -> None:
    sent = request.body("m", TALK, Options(choices=("Go", "C")), 100, frozenset(), "structured_outputs")
    assert sent["structured_outputs"] == {"choice": ["Go", "C"]}
    assert "response_format" not in sent


def test_adaptations_are_made() -> None:
    sent = body(Options(extra={"top_k": 1}), "without top_p", "without top_k", request.COMPLETION_TOKENS)
    assert {"top_p", "top_k", "max_tokens"}.isdisjoint(sent)
    assert sent["max_completion_tokens"] == 100
    assert body(None, request.UNSTREAMED)["stream"] is False


def test_messages_take_the_shape_that_strict_templates_want() -> None:
    def texts(*made: str) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in request.shaped(TALK, frozenset(made))]

    assert texts() == [("system", "S"), ("user", "a"), ("user", "b"), ("assistant", "c")]
    assert texts(request.MERGED) == [("system", "S"), ("user", "a\n\nb"), ("assistant", "c")]
    assert texts(request.FOLDED) == [("user", "S\n\na\n\nb"), ("assistant", "c")]


@pytest.mark.parametrize(
    "words",
    [
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate",
        "System role not supported",
        "Only user and assistant roles are supported!",
        "System messages are unsupported by this template",
    ],
)
def test_a_strict_template_gets_merged_messages_first_and_no_system_then(words: str) -> None:
    assert change(words) == request.MERGED
    assert change(words, request.MERGED, status=500) == request.FOLDED
    assert change(words, request.MERGED, request.FOLDED) is None


def test_what_would_not_change_the_messages_is_not_tried() -> None:
    refusal = refusals.Refusal(400, "System role not supported")
    talk = [Message("system", "S"), Message("user", "a")]
    assert request.adaptation(refusal, {}, talk, frozenset()) == request.FOLDED
    assert request.adaptation(refusal, {}, talk[1:], frozenset()) is None


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            "temperature",
            "without temperature",
        ),
        ("Unsupported parameter: 'max_tokens' … Use 'max_completion_tokens' instead.", "", request.COMPLETION_TOKENS),
        ("Extra inputs are not permitted", "top_p", "without top_p"),
        ("Unexpected fields in the request: {'stream_options'}", "", "without stream_options"),
        ("unknown field top_k", "", "without top_k"),
        ("Streaming is not supported", "", request.UNSTREAMED),
        ("the parameter stream must be false", "", request.UNSTREAMED),
        ("`seed` is unknown", "", "without seed"),
        ("Please stop sending rubbish", "", None),
        ("something is wrong", "", None),
        ("something is wrong", "messages", None),
    ],
)
def test_a_named_optional_field_is_dropped(message: str, param: str, expected: str | None) -> None:
    assert change(message, param=param, top_k=1) == expected


def test_only_a_bad_request_is_adapted() -> None:
    assert change("`seed` is unknown", status=422) == "without seed"
    assert change("`seed` is unknown", status=500) is None
    assert change("The model `seed` does not exist", status=400) is None


def test_messages_come_in_openais_form() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    dicts: list[dict[str, Any]] = [
        {"role": "developer", "content": "S"},
        {"role": "user", "content": parts},
        {"role": "user"},
    ]
    assert request.messages_from(dicts) == (Message("system", "S"), Message("user", "ab"), Message("user", ""))
    with pytest.raises(ValueError, match="unknown message role 'tool'"):
        request.messages_from([{"role": "tool", "content": "x"}])


def test_reasoning_never_re_enters_a_prompt() -> None:
    thought = "<think>hm</think>\n4"
    dicts = [{"role": role, "content": thought, "reasoning": "hm"} for role in ("assistant", "user")]
    assert [message.content for message in request.messages_from(dicts)] == ["4", thought]


def test_options_come_under_openais_names_and_later_ones_win() -> None:
    config = {"temperature": 0.5, "n": 1, "presence_penalty": 0.0, "logit_bias": {}, "user": "", "max_tokens": None}
    options = request.options_from(config, {"temperature": 1, "stop": "x", "max_completion_tokens": 9, "top_k": 3})
    assert options == Options(temperature=1, stop=("x",), max_tokens=9, extra={"top_k": 3})
    assert request.options_from({"n": 2, "extra": {"a": 1}}).extra == {"n": 2, "a": 1}


def test_an_option_of_the_wrong_type_is_reported() -> None:
    with pytest.raises(ValueError, match=r"Expected `float`, got `str` - at `\$.temperature`"):
        request.options_from({"temperature": "hot"})


def test_half_of_a_surrogate_pair_is_corrected_since_it_cannot_be_sent() -> None:
    assert request.messages_from([{"role": "user", "content": "a\ud83d"}]) == (Message("user", "a?"),)
