"""The plan of a batch: the options of all its projects, and how they are saved."""

from pathlib import Path
from typing import Any

import msgspec

from chatdev import ownfile
from chatdev.company.graph import Network
from chatdev.errors import UserError
from chatdev.run_options import OF_ENDPOINTS, RunOptions

HIDDEN = ".batch"
"""The folder inside a batch that holds its plan and its tasks."""


class BatchPlan(RunOptions, frozen=True):
    """The settings of all projects of a batch. ``max_cost`` is for all of them together, ``limits`` are for each."""

    config: str = "default"
    org: str = "DefaultOrganization"
    model: str | None = None

    def continuing(self, earlier: "BatchPlan") -> "BatchPlan":
        """This plan as typed; what was not typed (or is empty) comes from the plan that the batch was started with."""
        return msgspec.structs.replace(
            self.over(earlier),
            config=self.config or earlier.config,
            org=self.org or earlier.org,
            model=self.model or earlier.model,
        )

    @property
    def of_each(self) -> RunOptions:
        """The options of each project."""
        return RunOptions(**{**self.as_fields(), "max_cost": None})

    @property
    def encoded(self) -> bytes:
        """The plan as it is saved."""
        fields = msgspec.structs.asdict(self)
        reach = {name: fields.pop(name) for name in OF_ENDPOINTS}
        network = msgspec.Raw(self.network.encode()) if self.network else None
        return msgspec.json.encode({**fields, "reach": reach, "network": network})


class _Nested(msgspec.Struct):
    """The fields of a saved plan that are not flat: the options in ``OF_ENDPOINTS``, and the network."""

    reach: dict[str, Any] = {}
    network: Network | None = None


def plan_of(folder: Path) -> BatchPlan | None:
    """The plan that a batch was started with; None if this folder holds no batch. Raises UserError."""
    try:
        return _decoded(ownfile.read(folder / HIDDEN / "plan.json"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"Cannot read the plan of the batch in {folder} ({error}).") from error


def _decoded(data: bytes) -> BatchPlan:
    fields, nested = msgspec.json.decode(data, type=dict[str, Any]), msgspec.json.decode(data, type=_Nested)
    network = nested.network.as_json if nested.network else ""
    return msgspec.convert({**fields, **nested.reach, "network": network}, BatchPlan)
