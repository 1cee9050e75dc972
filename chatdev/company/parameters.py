"""How a model is asked, as a company's files say it."""

from typing import Annotated, Any

import msgspec


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the model is asked, and which; what is None is as it would be without.

    ``thinking``: False asks a model that thinks to answer at once. ``extra`` joins the request's body as it is.
    ``name`` and ``endpoint`` are another model than the run's own, as in ``Target``.
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
        """What is not None, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
