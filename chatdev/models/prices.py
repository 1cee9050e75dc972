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
        price = self.models.get(model)
        if price is None or price.prompt is None or price.completion is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens) if price.cached is not None else 0
        fresh = usage.prompt_tokens - cached
        return (fresh * price.prompt + cached * (price.cached or 0) + usage.completion_tokens * price.completion) / 1e6

    def retired(self, model: str, today: datetime.date) -> ModelPrice | None:
        """The entry of a model that was shut down by ``today``; None if it still runs, or is not known."""
        price = self.models.get(model)
        return price if price and price.shutdown and price.shutdown <= today else None


@functools.cache
def load() -> Prices:
    """The file that comes with ChatDev."""
    return msgspec.toml.decode(Path(__file__).with_name("prices.toml").read_bytes(), type=Prices)
