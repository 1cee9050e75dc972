"""Request parameters of a model, as set in a company's files."""

from typing import Annotated, Any

import msgspec


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request parameters, and optionally another model; None leaves the default.

    ``thinking``: False turns off a model's thinking. ``extra`` is added to the request's body unchanged.
    ``name`` and ``endpoint`` choose another model than the run's own, as in ``Target``.
    """

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    thinking: bool | None = None
    extra: dict[str, Any] | None = None
    name: str | None = None
    endpoint: str | None = None

    @property
    def stated(self) -> dict[str, Any]:
        """The values that are not None, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
