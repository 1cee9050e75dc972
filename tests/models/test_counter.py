"""What a run may pay, kept before each call."""

import pytest

from chatdev.models.errors import CostLimit, CutShort, Overloaded
from chatdev.models.spending import Budget, CostBudget, Counter, Reached


def test_a_call_that_could_cost_too_much_is_not_made_and_says_the_sums() -> None:
    cost_budget = CostBudget(1.0)
    cost_budget.spent = 0.75
    with (
        pytest.raises(CostLimit, match=r"could cost \$0\.5000, and \$0\.7500 of the \$1 ") as error,
        cost_budget.hold(0.5, "m"),
    ):
        raise AssertionError("the call was made")
    assert error.value.exit_status == 2 and "--max-cost" in error.value.do


def test_what_calls_in_flight_could_cost_is_kept_back() -> None:
    cost_budget = CostBudget(1.0)
    with cost_budget.hold(0.6, "m") as bill:
        with pytest.raises(CostLimit), cost_budget.hold(0.6, "m"):
            raise AssertionError("the call was made")
        bill.cost = 0.1
    assert cost_budget.spent == pytest.approx(0.1)
    with cost_budget.hold(0.6, "m"):
        pass


def test_an_answer_that_broke_off_counts_whole_and_a_refused_one_not() -> None:
    cost_budget = CostBudget(1.0)
    with pytest.raises(CutShort), cost_budget.hold(0.3, "m"):
        raise CutShort("half")
    with pytest.raises(Overloaded), cost_budget.hold(0.3, "m"):
        raise Overloaded("later")
    assert cost_budget.spent == pytest.approx(0.3)


def test_a_limit_cannot_be_kept_where_the_price_is_not_known() -> None:
    with pytest.raises(CostLimit, match="price of m is not known"), CostBudget(1.0).hold(None, "m"):
        raise AssertionError("the call was made")
    with CostBudget().hold(None, "m"):
        pass


def test_a_limit_of_the_run_is_named_before_one_of_the_phase() -> None:
    counter = Counter(Budget(calls=2, minutes=5), {"Coding": Budget(tokens=100)})
    counter.add("Coding", {"calls": 1, "tokens": 100})
    assert counter.reached("Coding", minutes=0) == Reached("tokens", 100, 100, "Coding")
    assert counter.reached("Review", minutes=0) is None
    assert counter.reached("Review", minutes=5) == Reached("minutes", 5, 5, "")
    counter.add("", {"calls": 1})
    assert counter.reached("Coding", minutes=0) == Reached("calls", 2, 2, "")
