"""What a model's answer took: tokens, time, cost, and the endpoint that gave it.

The model layer fills a receipt in, and the event ``model.answered`` inherits its fields. Neither layer imports the
other, so the class is below both.
"""

from typing import Self

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Token counts of one call. ``estimated``: the counts are not from the server."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: "Usage") -> Self:
        """The sum of both. Cached tokens that were not reported count as 0."""
        return msgspec.structs.replace(
            self,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=None if self.cached_tokens is None else self.cached_tokens + (other.cached_tokens or 0),
            estimated=self.estimated or other.estimated,
        )


class Receipt(Usage, frozen=True, kw_only=True):
    """Which endpoint answered a call, and at what cost.

    ``endpoint`` is a base URL without credentials; ``first_token`` and ``seconds`` are seconds of elapsed time;
    ``tries`` counts the requests sent, to all endpoints; ``tried`` has a line for each endpoint that failed or was
    skipped, ``BASE_URL: why``, even if the same one answered in the end; ``adapted`` lists the changes to the request
    for this endpoint (dropped fields, merged messages), ``cuts`` what was cut from the conversation to fit its window;
    ``cost`` is in US dollars, 0 for a local endpoint and None if the price is not known. ``model`` is the name in the
    answer, ``asked`` the name in the request. ``stopped`` says why we closed the stream before its end.
    ``text_in`` is the field that had the text of an answer whose content is empty.
    """

    endpoint: str
    model: str
    tries: int = 1
    first_token: float | None = None
    seconds: float = 0.0
    max_tokens: int = 0
    adapted: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    cost: float | None = None
    asked: str = ""
    tried: tuple[str, ...] = ()
    stopped: str = ""
    text_in: str = ""
