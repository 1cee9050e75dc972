"""How the mock server behaves or misbehaves, as configured.

Each fault occurs in real servers, so that a client can be tested against all of them on one machine.
"""

import tomllib
import zlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from chatdev.errors import UserError
from chatdev.journal import places

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Tokens = Annotated[int, msgspec.Meta(ge=0)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class FaultSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How requests are answered. A field that is None changes nothing.

    Which requests: all, or those at ``place`` and below it, or the ``attempt``-th try (from 1) at each place, or a
    ``share`` of them (0.05: one in twenty, drawn separately for each try). This is decided from the request's id
    alone, so the server keeps no state.

    Time: ``first_token`` seconds of silence, then ``per_token`` seconds between tokens.

    Before the answer: ``html`` (a web page instead of the API), ``status`` (this HTTP status, in vLLM's format),
    ``retry_after`` (seconds, in a header of the refusal), ``unauthorized`` (401 with an error that is a ``string`` as
    in vLLM, or an ``object`` as in OpenAI), ``api_key`` (401 without it), ``window`` (tokens), ``no_window`` (it is not
    reported), ``cut_prompt`` (as in Ollama, a longer prompt is silently cut to this number of tokens),
    ``refuse_fields`` (400 if the request has one of them), ``refuse_system`` and ``alternate_roles`` (strict chat
    templates), ``no_template`` (every chat is refused).

    The end: after ``after`` tokens (None: after the last one) the ``fault`` happens. ``cut``: the stream ends without
    a finish reason; ``drop``: the connection breaks; ``stall``: silence until the client disconnects; ``error``: an
    error object inside the stream; ``half``: the body ends in the middle of an event; ``trickle``: endless meaningless
    bytes, one every ``per_token`` seconds (else one a second); ``repeat``: the answer is repeated endlessly.
    ``reset``: the connection is reset when the ``request`` has arrived, or after the ``headers`` of the answer.

    Dialects: ``no_usage``, ``no_done``, ``plain_json`` (a whole answer to a streamed request), ``null_content`` (the
    text moves to the reasoning), ``empty`` (no text: the content is empty, or null with ``null_content``),
    ``reasoning_field`` (its name: ``reasoning``, in older servers ``reasoning_content``), ``ignore_constraints``
    (structured output is ignored).
    """

    place: str | None = None
    attempt: AtLeastOne | None = None
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    first_token: Seconds | None = None
    per_token: Seconds | None = None
    html: bool | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    retry_after: Seconds | None = None
    unauthorized: Literal["string", "object"] | None = None
    api_key: str | None = None
    window: AtLeastOne | None = None
    no_window: bool | None = None
    cut_prompt: AtLeastOne | None = None
    refuse_fields: tuple[str, ...] | None = None
    refuse_system: bool | None = None
    alternate_roles: bool | None = None
    no_template: bool | None = None
    reset: Literal["request", "headers"] | None = None
    fault: Literal["cut", "drop", "stall", "error", "half", "trickle", "repeat"] | None = None
    after: Tokens | None = None
    no_usage: bool | None = None
    no_done: bool | None = None
    plain_json: bool | None = None
    null_content: bool | None = None
    empty: bool | None = None
    ignore_constraints: bool | None = None
    reasoning_field: str | None = None

    def set_fields(self) -> dict[str, Any]:
        """The fields that are set."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def applies(self, place: str, attempt: int, request_id: str = "") -> bool:
        """Whether this manner applies to the ``attempt``-th request at ``place``. To a request without a place, only
        manners for all requests apply."""
        if self.place is None and self.attempt is None and self.share is None:
            return True
        if self.share is not None and zlib.crc32(f"{request_id} {self}".encode()) >= self.share * 2**32:
            return False
        below = self.place is None or places.contains(self.place, place)
        return bool(place) and below and self.attempt in (None, attempt)


def merge(manners: Iterable[FaultSpec], place: str = "", attempt: int = 1, request_id: str = "") -> FaultSpec:
    """All manners that apply to one request, as one manner; if two set the same field, the later one wins."""
    fields: dict[str, Any] = {}
    for manner in manners:
        if manner.applies(place, attempt, request_id):
            fields |= manner.set_fields()
    return FaultSpec(**fields | {"place": None, "attempt": None, "share": None})


def parse(text: str) -> FaultSpec:
    """A manner as it is typed on a command line: ``fault = "cut", after = 5``. Raises UserError."""
    try:
        return msgspec.convert(tomllib.loads(f"manner = {{{text}}}")["manner"], FaultSpec)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UserError(
            f"The manner {text!r} cannot be read: {str(error).split(' (at ')[0]}.",
            do='Write names and values separated by commas, such as: fault = "cut", after = 5. docs/playback.md '
            "lists them.",
        ) from None
