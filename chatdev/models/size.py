"""How large a model is, according to its server: from a field of its model list, or from the served name."""

import re
from collections.abc import Mapping
from typing import Any

_NAMED = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)\s?([bm])(?![a-z])", re.I)
_BILLION = 1e9


def size_in(entry: Mapping[str, Any], name: str) -> float | None:
    """Billions of parameters; None if unknown.

    ``entry`` is the model's entry in ``GET /models``: llama.cpp's has ``meta.n_params``, Ollama's
    ``details.parameter_size`` ("1.5B"), vLLM's ``root`` the name on the hub. In names, "7b" and "135M" count, and for a
    mixture of experts ("30B-A3B") the total.
    """
    meta = entry.get("meta")
    if isinstance(meta, Mapping) and isinstance(number := meta.get("n_params"), int | float) and number > 0:
        return number / _BILLION
    details = entry.get("details")
    reported = details.get("parameter_size") if isinstance(details, Mapping) else None
    for text in (reported, entry.get("root"), name):
        if isinstance(text, str) and (found := _NAMED.search(text.replace("_", "-"))):
            return float(found[1]) / (1 if found[2].lower() == "b" else 1000)
    return None
