"""Whether a model fits: weights, KV cache per token times window, and the engine's own memory, against what is free."""

from collections.abc import Mapping, Sequence

import msgspec

from chatdev.errors import UserError
from chatdev.ops.serving import weights
from chatdev.ops.serving.weights import Need

USUAL_WINDOW = 32_768
"""The default context window in tokens: enough for all files of a product, and the answer."""

SMALLEST_WINDOW = 4096
"""The smallest window that is chosen by default; docs/windows.md says what is cut at that size."""

_STEP = 1024  # chosen windows are multiples of this; llama.cpp needs multiples of 256


class ModelMemory(msgspec.Struct, frozen=True):
    """Memory for a model in bytes; ``overhead`` of it is for the engine itself. ``where`` describes it in messages."""

    size: int
    overhead: int
    where: str


class Fit(msgspec.Struct, frozen=True):
    """How a model fits: the window of each of ``slots`` conversations, in tokens, None to let the engine choose.

    ``words`` is the calculation; empty if the size of the model is not known.
    """

    window: int | None
    slots: int = 1
    words: str = ""


class DoesNotFit(UserError):
    """The model needs more memory than there is; the message contains the calculation, and what would fit."""


def fit(
    need: Need, room: ModelMemory, wanted: int | None, forms: Mapping[str, float], slots: Sequence[int] = (1,)
) -> Fit:
    """The window that fits, for the first of ``slots`` that leaves a usual one. ``wanted`` is the user's, in tokens.

    ``forms`` are quantised versions to suggest if the model does not fit, with their bits per weight. Raises
    DoesNotFit, and UserError for a window larger than the model supports.
    """
    if wanted and need.window and wanted > need.window:
        raise UserError(
            f"{need.name} supports a window of at most {need.window:,} tokens, but --window asks for {wanted:,}.",
            do=f"Leave --window out, or set it to at most {need.window}.",
        )
    if not need.weights:
        return Fit(wanted, slots[0])
    limit = wanted or min(need.window or USUAL_WINDOW, USUAL_WINDOW)
    for number in slots:
        window = _largest(need, room, number, limit)
        enough = limit if wanted or number == slots[-1] else min(limit, USUAL_WINDOW // 2)
        if window >= enough or (number == slots[-1] and not wanted and window >= min(SMALLEST_WINDOW, limit)):
            certain = wanted or need.window or not need.estimated or window < limit
            return Fit(window if certain else None, number, arithmetic(need, room, window, number))
    raise _too_large(need, room, wanted, forms)


def _largest(need: Need, room: ModelMemory, slots: int, limit: int) -> int:
    """The largest window up to ``limit`` that each slot can have; 0 if not even the weights fit."""
    left = room.size - room.overhead - need.weights
    if left <= 0:
        return 0
    possible = left // (need.kv * slots) if need.kv else limit
    return limit if possible >= limit else possible // _STEP * _STEP


def arithmetic(need: Need, room: ModelMemory, window: int, slots: int = 1) -> str:
    """The sum in one line, such as ``14.2 GiB of weights + 1.8 GiB of KV cache (…) + 1.5 GiB … = 17.5 GiB, of …``."""
    cache = need.kv * window * slots
    times = f" x {slots} slots" if slots > 1 else ""
    total = need.weights + cache + room.overhead
    about = "about " if need.estimated else ""
    return (
        f"{about}{size(need.weights)} of weights + {size(cache)} of KV cache ({size(need.kv)} a token x {window:,} "
        f"tokens{times}) + {size(room.overhead)} for the engine = {size(total)}, of {size(room.size)} {room.where}"
    )


def _too_large(need: Need, room: ModelMemory, wanted: int | None, forms: Mapping[str, float]) -> DoesNotFit:
    window = wanted or min(need.window or SMALLEST_WINDOW, SMALLEST_WINDOW)
    steps = []
    if wanted and (smaller := _largest(need, room, 1, wanted)) >= SMALLEST_WINDOW:
        steps.append(f"A smaller window fits: --window {smaller}")
    steps += [_form(form, bits, need) for form, bits in forms.items() if _would_fit(need, room, window, bits)]
    if not steps:
        left = room.size - room.overhead - need.kv * window
        weights_that_fit = max(0, left) * 8 / weights.FOUR_BITS / 1e9
        steps.append(f"No quantised version fits either. At 4 bits, {weights_that_fit:.0f} billion weights would fit.")
    guess = f" These are estimates from {need.source}." if need.estimated else ""
    return DoesNotFit(
        f"{need.name} does not fit: {arithmetic(need, room, window)}.{guess}",
        do="\n".join([*steps, "To try it anyway: --force"]),
    )


def _would_fit(need: Need, room: ModelMemory, window: int, bits: float) -> bool:
    smaller = round(need.parameters * bits / 8)
    return smaller < need.weights and smaller + need.kv * window + room.overhead <= room.size


def _form(form: str, bits: float, need: Need) -> str:
    return f"{form} would fit: about {size(round(need.parameters * bits / 8))} of weights."


def size(number: float) -> str:
    """Bytes in readable form, in powers of 1,024."""
    for unit in ("bytes", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
