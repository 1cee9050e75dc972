"""What an answer took goes into the log, whole and flat."""

import msgspec

from chatdev.models.types import Completion, Options
from chatdev.project import context
from chatdev.receipt import Receipt

RECEIPT = Receipt(
    9,
    2,
    8,
    1,
    True,
    endpoint="http://gpu/v1",
    model="tiny",
    tries=3,
    first_token=0.5,
    seconds=1.5,
    max_tokens=100,
    adapted=("without top_p",),
    cuts=("code shortened",),
    cost=0.01,
    asked="default",
    tried=("http://a/v1: gone",),
    stopped="the answer was complete",
    text_in="reasoning",
)


def test_every_field_of_a_receipt_is_a_field_of_the_recorded_answer() -> None:
    completion = Completion("text", "stop", RECEIPT, "thought", "chatcmpl-1")
    event = context.recorded_answer("P.1", "d", "Programmer", ("id",), Options(temperature=0.7), completion)
    recorded = msgspec.json.decode(msgspec.json.encode(event))
    expected = msgspec.to_builtins(RECEIPT)
    assert {name: recorded[name] for name in expected} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in expected.items()
    }
    assert (recorded["text"], recorded["reasoning"], recorded["temperature"]) == ("text", "thought", 0.7)
