"""How much a run, or all executions of one phase together, may spend."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Amount = Annotated[float, msgspec.Meta(gt=0)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits; None for none. ``calls`` counts answers, ``tokens`` prompts and answers together, ``minutes`` the working
    time (of a phase: the time of its calls), ``cost`` US dollars for answers with a known price.
    """

    calls: _Count | None = None
    tokens: _Count | None = None
    minutes: _Amount | None = None
    cost: _Amount | None = None

    @property
    def stated(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def but(self, limits: Mapping[str, float]) -> "Budget":
        """This budget with other limits for some names."""
        return msgspec.convert({**self.stated, **limits}, Budget, strict=False)
