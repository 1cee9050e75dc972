"""More inputs are made of the examples that a task gives."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chatdev.product import probes
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("ab c", max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


def row(*, stdin: str = "", args: tuple[str, ...] = (), steps: int = 1) -> Row:
    return Row((RowStep(Invocation(args, stdin), "x"),) * steps, "trusted")


def inputs(*rows: Row) -> list[object]:
    return [json.loads(call.stdin) for call in probes.of_rows(rows)]


def test_values_of_one_example_are_tried_in_another() -> None:
    rows = row(stdin='{"word": "stone", "n": 1}'), row(stdin='{"word": "seton", "n": 5}')
    made = inputs(*rows)
    assert {"word": "seton", "n": 1} in made
    assert {"word": "stone", "n": 5} in made


def test_a_key_that_names_what_to_do_keeps_its_value() -> None:
    made = inputs(
        row(stdin='{"operation": "encode", "text": "abc"}'), row(stdin='{"operation": "decode", "text": "xyz"}')
    )
    assert made
    assert all(isinstance(one, dict) and one["operation"] in ("encode", "decode") for one in made)


def test_numbers_in_plain_text_and_in_arguments_change_one_by_one() -> None:
    assert Invocation(stdin="3 3\n") in probes.of_rows([row(stdin="2 3\n")])
    assert Invocation(("add", "3", "3")) in probes.of_rows([row(args=("add", "2", "3"))])


def test_calls_of_functions_and_sessions_of_several_commands_have_none() -> None:
    assert probes.of_rows([row(args=("-c", "from main import f; print(f(2))"))]) == ()
    assert probes.of_rows([row(args=("list",), steps=2)]) == ()
    assert probes.of_rows([]) == ()


@given(st.lists(JSON, min_size=1, max_size=3))
def test_the_same_rows_give_the_same_probes_and_none_is_a_row(values: list[object]) -> None:
    rows = [row(stdin=json.dumps(value) + "\n") for value in values]
    made = probes.of_rows(rows)
    assert made == probes.of_rows(rows)
    assert len(made) == len(set(made)) <= probes.MOST
    assert not set(made) & {one.steps[0].call for one in rows}
    for call in made:
        json.loads(call.stdin)


def test_the_last_inputs_are_the_examples_with_numbers_a_thousand_times_as_large() -> None:
    probed = probes.of_rows([row(stdin='{"n": 12, "of": [0, 2.5]}'), row(args=("add", "2", "-3")), row(args=("x",))])
    assert [probed[-2], probed[-1]] == [
        Invocation(stdin='{"n": 12000, "of": [0, 2500.0]}'),
        Invocation(("add", "2000", "-3000")),
    ]
