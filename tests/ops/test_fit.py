"""The arithmetic of memory."""

import pytest
from msgspec.structs import replace

from chatdev.errors import UserError
from chatdev.ops.serving import fit, weights
from chatdev.ops.serving.fit import DoesNotFit, ModelMemory
from chatdev.ops.serving.weights import Need

GIB = 1 << 30
NEED = Need(
    name="M", form="safetensors", weights=14 * GIB, kv=64 << 10, window=131072, parameters=7_500_000_000, source="x"
)
FORMS = {"8 bits": weights.EIGHT_BITS, "4 bits": weights.FOUR_BITS}


def room(gib: float) -> ModelMemory:
    return ModelMemory(round(gib * GIB), GIB, "here")


def test_the_usual_window_where_there_is_room() -> None:
    found = fit.fit(NEED, room(24), None, FORMS)
    assert (found.window, found.slots) == (32768, 1)
    assert found.words == (
        "14.0 GiB of weights + 2.0 GiB of KV cache (64 KiB a token x 32,768 tokens) + 1.0 GiB for the engine = "
        "17.0 GiB, of 24.0 GiB here"
    )


def test_the_models_own_window_if_that_is_smaller() -> None:
    assert fit.fit(replace(NEED, window=8192), room(24), None, FORMS).window == 8192
    assert fit.fit(replace(NEED, window=2048), room(24), None, FORMS).window == 2048


def test_a_smaller_window_where_there_is_less_room() -> None:
    assert fit.fit(NEED, room(16), None, FORMS).window == 16384  # the one GiB that is left, by 64 KiB a token


def test_the_exact_edge() -> None:
    need = 14 * GIB + GIB + 4096 * (64 << 10)
    assert fit.fit(NEED, ModelMemory(need, GIB, "here"), None, FORMS).window == 4096
    with pytest.raises(DoesNotFit):
        fit.fit(NEED, ModelMemory(need - 1, GIB, "here"), None, FORMS)


def test_what_does_not_fit_is_reported_with_the_sum_and_the_form_that_would() -> None:
    with pytest.raises(DoesNotFit) as error:
        fit.fit(NEED, room(8), None, FORMS)
    assert "14.0 GiB of weights + 256 MiB of KV cache (64 KiB a token x 4,096 tokens)" in error.value.what
    assert "= 15.2 GiB, of 8.0 GiB here" in error.value.what
    assert "4 bits would fit: about 4.8 GiB of weights." in error.value.do
    assert "8 bits" not in error.value.do
    assert error.value.exit_status == 2


def test_where_no_form_fits_the_number_of_weights_that_would_is_reported() -> None:
    with pytest.raises(DoesNotFit, match="At 4 bits, 1 billion weights would") as error:
        fit.fit(NEED, room(2), None, FORMS)
    assert "estimates" not in error.value.what
    with pytest.raises(DoesNotFit, match=r"about 14\.0 GiB.*These are estimates from x\."):
        fit.fit(replace(NEED, estimated=True), room(2), None, FORMS)


def test_the_users_window_is_kept_or_refused_never_cut() -> None:
    assert fit.fit(NEED, room(24), 100_000, FORMS).window == 100_000
    with pytest.raises(DoesNotFit, match="A smaller window fits: --window 16384"):
        fit.fit(NEED, room(16), 65536, FORMS)
    with pytest.raises(UserError, match="a window of at most 131,072 tokens, but --window asks for 200,000"):
        fit.fit(NEED, room(240), 200_000, FORMS)


def test_slots_are_given_up_before_the_window_is() -> None:
    slots = (4, 2, 1)
    assert fit.fit(NEED, room(24), None, FORMS, slots).slots == 4
    two = fit.fit(NEED, room(18), None, FORMS, slots)  # 3 GiB for the cache, where four windows of 16,384 want 4
    assert (two.slots, two.window) == (2, 24576)
    one = fit.fit(NEED, room(15.5), None, FORMS, slots)
    assert (one.slots, one.window) == (1, 8192)
    assert "x 24,576 tokens x 2 slots" in two.words


def test_a_model_of_which_nothing_is_known_is_left_to_its_engine() -> None:
    unknown = Need(name="M", form="unknown", estimated=True)
    assert fit.fit(unknown, room(1), None, FORMS) == fit.Fit(None)
    guessed = replace(NEED, window=None, estimated=True)
    assert fit.fit(guessed, room(24), None, FORMS).window is None  # the engine knows the model's own
    assert fit.fit(guessed, room(16), None, FORMS).window == 16384


def test_a_model_without_a_known_cache() -> None:
    assert fit.fit(replace(NEED, kv=0), room(24), None, FORMS).window == 32768


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 bytes"), (2048, "2 KiB"), (3 << 20, "3 MiB"), (3 << 29, "1.5 GiB"), (2 << 40, "2048.0 GiB")],
)
def test_bytes_for_people(number: int, words: str) -> None:
    assert fit.size(number) == words
