"""Keys that were renamed: files and ``--set`` may use their older names forever, since each run keeps its company."""

from collections.abc import Mapping
from typing import Any

OF_STEPS = {"beside": "with_previous", "together": "parallel"}
"""The keys of a step of the chain, by their older names."""
OF_PHASES = {"otherwise": "default"}
"""The keys of a phase, by their older names."""
STEPS = {"together": "parallel"}
"""The names of steps in ``--set STEP=off``, by their older names."""


def of_company(head: Mapping[str, Any]) -> dict[str, Any]:
    """``company.toml`` with the present names. Raises ValueError if a step has a key under both names."""
    return {key: _steps(value) if key == "chain" else value for key, value in head.items()}


def of_phase(head: Mapping[str, Any]) -> dict[str, Any]:
    """A phase's head, or the keys of ``--set``, with the present names. Raises ValueError as ``of_company`` does."""
    renamed = _renamed(head, OF_PHASES)
    if isinstance(at := renamed.get("at"), dict):
        renamed["at"] = {
            effort: _renamed(keys, OF_PHASES) if isinstance(keys, dict) else keys for effort, keys in at.items()
        }
    return renamed


def _steps(chain: object) -> object:
    return [_step(step) for step in chain] if isinstance(chain, list) else chain


def _step(step: object) -> object:
    if not isinstance(step, dict):
        return step  # the check of types says what is wrong, here and below
    renamed = _renamed(step, OF_STEPS)
    return {key: _steps(value) if key in ("steps", "parallel") else value for key, value in renamed.items()}


def _renamed(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    for older, present in names.items():
        if older in table and present in table:
            raise ValueError(f"{older} is the older name of {present}; use only one of them")
    return {names.get(key, key): value for key, value in table.items()}
