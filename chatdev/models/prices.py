"""OpenAI's prices and shutdown dates, from the dated file ``prices.toml``."""

import datetime
import functools
from pathlib import Path

import msgspec

from chatdev.receipt import Usage


class ModelPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the file. Prices are US dollars per million tokens, None for a model that was shut down."""

    prompt: float | None = None
    cached: float | None = None
    completion: float | None = None
    shutdown: datetime.date | None = None
    replacement: str = ""


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: the date of the last check, the default model, and the models by name."""

    date: datetime.date
    default: str
    models: dict[str, ModelPrice]

    def cost(self, model: str, usage: Usage) -> float | None:
        """The cost of a call in US dollars; None if the price is not known."""
        known = self.models.get(model)
        if known is None or known.prompt is None or known.completion is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens) if known.cached is not None else 0
        fresh = usage.prompt_tokens - cached
        return (fresh * known.prompt + cached * (known.cached or 0) + usage.completion_tokens * known.completion) / 1e6

    def retired(self, model: str, today: datetime.date) -> ModelPrice | None:
        """The entry of a model that was shut down by ``today``; None if it still runs, or is not known."""
        known = self.models.get(model)
        return known if known and known.shutdown and known.shutdown <= today else None


@functools.cache
def load() -> Prices:
    """The file that comes with ChatDev."""
    return msgspec.toml.decode(Path(__file__).with_name("prices.toml").read_bytes(), type=Prices)
