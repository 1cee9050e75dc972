"""Events as runs record them, with plain values for all that a test does not speak of."""

import msgspec

from chatdev.journal.events import ModelAnswered, TestOutcome, TestResult, TestsRan

_ANSWER = ModelAnswered(
    place="",
    digest="d",
    role="Programmer",
    messages=(),
    text="text",
    finish_reason="stop",
    prompt_tokens=10,
    completion_tokens=5,
    endpoint="http://here/v1",
    model="m",
)


def model_answered(place: str, text: str = "text", **fields: object) -> ModelAnswered:
    """A recorded answer of a model; ``fields`` are those that matter to the test."""
    return msgspec.structs.replace(_ANSWER, place=place, text=text, **fields)


def ran_tests(
    *outcomes: TestOutcome, place: str = "p", digest: str = "d", trouble: str = "", needs: str = ""
) -> TestsRan:
    """A run of tests ``t0``, ``t1``, … with these outcomes; each one is explained by ``why 0``, ``why 1``, …"""
    results = (TestResult(f"t{n}", outcome, f"why {n}", needs=needs) for n, outcome in enumerate(outcomes))
    return TestsRan(place, digest, tuple(results), trouble)
