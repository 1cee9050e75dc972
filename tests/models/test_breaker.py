"""The states of a circuit breaker, and who shares one."""

import asyncio

import pytest

from chatdev.models.breaker import LONGEST, Breaker, BreakerRegistry
from chatdev.models.errors import KeyRefused, ModelError, ServerBroke, Unreachable, WindowTooSmall


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(rest=2.0, clock=clock)


def fail(breaker: Breaker, *errors: BaseException) -> None:
    for error in errors:
        with pytest.raises(type(error)), breaker.call():
            raise error


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not(breaker: Breaker) -> None:
    fail(breaker, ServerBroke("a"), Unreachable("b"))
    with breaker.call():
        assert breaker.in_flight == 1
    fail(breaker, ServerBroke("c"), ServerBroke("d"))
    assert (breaker.state, breaker.in_flight) == ("closed", 0)
    fail(breaker, ServerBroke("e"))
    assert (breaker.state, breaker.why) == ("open", "e")


def test_after_its_rest_one_call_may_try(breaker: Breaker, clock: Clock) -> None:
    breaker.trip("nobody there")
    seen = []
    for seconds in (1.9, 0.1):
        clock.now += seconds
        seen.append(breaker.state)
    with breaker.call():
        seen.append(breaker.state)  # as all others see it
    assert [*seen, breaker.state] == ["open", "half-open", "open", "closed"]


def test_each_probe_that_fails_doubles_the_rest_up_to_a_bound(breaker: Breaker, clock: Clock) -> None:
    breaker.trip("nobody there")
    for rest in (2, 4, 8, 16, 32, LONGEST, LONGEST):
        clock.now += rest - 0.5
        assert breaker.state == "open"
        clock.now += 0.5
        fail(breaker, ServerBroke("still"))
        assert breaker.state == "open"


def test_after_an_answer_the_rest_is_short_again(breaker: Breaker, clock: Clock) -> None:
    breaker.trip("a")
    clock.now += 2
    fail(breaker, ServerBroke("b"))
    clock.now += 4
    with breaker.call():
        assert breaker.in_flight == 1
    fail(breaker, *(ServerBroke("c") for _ in range(3)))
    clock.now += 2
    assert breaker.state == "half-open"


@pytest.mark.parametrize("error", [KeyRefused("no"), WindowTooSmall("no")])
def test_a_server_that_refuses_is_alive(breaker: Breaker, clock: Clock, error: ModelError) -> None:
    breaker.trip("nobody there")
    clock.now += 2
    fail(breaker, error)
    assert breaker.state == "closed"


def test_a_probe_that_was_cancelled_says_nothing(breaker: Breaker, clock: Clock) -> None:
    breaker.trip("nobody there")
    clock.now += 2
    fail(breaker, asyncio.CancelledError())
    assert (breaker.state, breaker.in_flight) == ("half-open", 0)


def test_many_failures_at_once_open_it_once(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, *(ServerBroke("all connections fell") for _ in range(100)))
    clock.now += 2
    assert breaker.state == "half-open"


def test_an_endpoint_and_a_model_have_one_breaker_on_a_board() -> None:
    breakers = BreakerRegistry()
    assert breakers.breaker("http://a/v1", "m") is breakers.breaker("http://a/v1", "m")
    assert breakers.breaker("http://a/v1", "m") is not breakers.breaker("http://a/v1", "n")
