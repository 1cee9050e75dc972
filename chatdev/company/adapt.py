"""A company adapted to a model and to options: how much it does, and single keys of its phases."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from chatdev.company import older_keys, steps
from chatdev.company.config import Company, CompanyError
from chatdev.company.phase import Phase

Effort = Literal["low", "normal", "high"]
EFFORTS: tuple[Effort, ...] = ("low", "normal", "high")

SMALL = 7.0
"""A model with fewer billions of parameters is small. Showing a small model its own failed attempt solves fewer tasks
per token than another independent draft (docs/eval.md)."""


SKILLED = 0.3
"""A model that answers a smaller share of the doctor's skill questions is small: Qwen2.5-Coder-1.5B answers 1 of 10
correctly."""


def effort_for(size: float | None, skill: float | None = None) -> tuple[Effort, str]:
    """The effort for a model, and the reason: by its billions of parameters, else by the share of the doctor's skill
    questions that it answered correctly. None: unknown."""
    if size is not None:
        reason = f"{size:.3g} billion parameters"
        return ("low", f"{reason}, fewer than {SMALL:g}") if size < SMALL else ("normal", reason)
    if skill is not None:
        reason = f"it passed {skill:.0%} of the doctor's skill test"
        return ("low", f"{reason}, less than {SKILLED:.0%}") if skill < SKILLED else ("normal", reason)
    return "normal", "the server does not report the model's size; chatdev doctor measures its skill"


def at(company: Company, effort: Effort) -> Company:
    """The company at this effort: without the steps for higher efforts, and with its phases' keys for this one."""
    rank = EFFORTS.index(effort)

    def kept(chain: Sequence[steps.ChainStep]) -> tuple[steps.ChainStep, ...]:
        return tuple(
            msgspec.structs.replace(step, steps=kept(step.steps), parallel=kept(step.parallel))
            for step in chain
            if not step.effort or EFFORTS.index(step.effort) <= rank
        )

    phases = {
        name: _changed(phase, phase.at.get(effort, {}), f"phases/{name}.md: at.{effort}")
        for name, phase in company.phases.items()
    }
    return msgspec.structs.replace(company, chain=kept(company.chain), phases=phases)


def setting(company: Company, typed: Sequence[str]) -> Company:
    """The company with each typed ``PHASE.KEY=VALUE`` applied, or without a step (``STEP=off``). Values are TOML, or
    plain words. Raises CompanyError that lists the valid names."""
    for each in typed:
        name, equals, value = each.partition("=")
        name, dot, key = name.strip().partition(".")
        if not equals or (not dot and value.strip().lower() != "off"):
            raise CompanyError(f"--set {each!r} is not valid.", do="Write PHASE.KEY=VALUE, or STEP=off.")
        company = _key(company, name, key, value.strip(), each) if dot else _without(company, name)
    return company


def _key(company: Company, name: str, key: str, value: str, typed: str) -> Company:
    found = next((phase for phase in company.phases if phase.lower() == name.lower()), None)
    if found is None:
        raise CompanyError(
            f'--set {typed!r}: {company.name} has no phase "{name}".', do=f"Its phases: {', '.join(company.phases)}."
        )
    changed = _changed(company.phases[found], _nested(key, _value(value)), f"--set {typed!r}")
    return msgspec.structs.replace(company, phases={**company.phases, found: changed})


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _nested(key: str, value: Any) -> dict[str, Any]:
    first, dot, rest = key.partition(".")
    return {first: _nested(rest, value) if dot else value}


def _changed(phase: Phase, keys: Mapping[str, Any], where: str) -> Phase:
    """The phase with other values for some keys; a table's keys are changed one by one. Raises CompanyError."""
    if not keys:
        return phase
    fields = msgspec.to_builtins(phase)
    try:
        keys = older_keys.of_phase(keys)
    except ValueError as error:
        raise CompanyError(f"{where}: {error}.") from error
    for key, value in keys.items():
        if key in ("name", "question", "at") or key not in fields:
            allowed = ", ".join(sorted(set(fields) - {"name", "question", "at"}))
            raise CompanyError(f"{where}: {key} is not a key of a phase.", do=f"The keys: {allowed}.")
        fields[key] = {**fields[key], **value} if isinstance(value, dict) and isinstance(fields[key], dict) else value
    try:
        return msgspec.convert(fields, Phase)
    except msgspec.ValidationError as error:
        raise CompanyError(f"{where}: {error}.") from error


def _without(company: Company, name: str) -> Company:
    name = older_keys.STEPS.get(name.lower(), name)
    names = {step.name.lower() for step in steps.walk(company.chain)}
    if name.lower() not in names:
        step_names = ", ".join(dict.fromkeys(step.name for step in steps.walk(company.chain)))
        raise CompanyError(f'--set {name}=off: {company.name} has no step "{name}".', do=f"Its steps: {step_names}.")

    def kept(chain: Sequence[steps.ChainStep]) -> tuple[steps.ChainStep, ...]:
        return tuple(
            msgspec.structs.replace(step, steps=kept(step.steps), parallel=kept(step.parallel))
            for step in chain
            if step.name.lower() != name.lower()
        )

    return msgspec.structs.replace(company, chain=kept(company.chain))
