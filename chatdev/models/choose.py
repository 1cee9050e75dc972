"""Which model answers: from the label on the command line and the settings to a backend that was asked who it is."""

import re
from collections.abc import Iterable

import msgspec

from chatdev.errors import UserError
from chatdev.models import address as addresses
from chatdev.models import discover
from chatdev.models.backend import ModelBackend, OpenAIModel, StubModel, VLLMModel
from chatdev.models.endpoint import Facts
from chatdev.models.errors import Unreachable
from chatdev.models.types import ModelType, Target
from chatdev.settings import Settings, base_url

OPENAI = "openai:"


class Choice(msgspec.Struct, frozen=True):
    """A backend that answered for itself, under its label, and the settings that it was chosen by. ``notes`` are lines
    to print before the first call."""

    backend: ModelBackend
    facts: Facts
    label: str
    settings: Settings
    notes: tuple[str, ...] = ()

    async def colleague(self, target: Target) -> "Choice":
        """Another model beside this one, asked who it is. Raises ModelError. The caller closes its backend.

        What names no endpoint is served where this one is.
        """
        if target.name.lower().startswith(OPENAI) and not target.endpoint:
            return await _openai(self.settings, target.name[len(OPENAI) :])
        if isinstance(self.backend, VLLMModel) or target.endpoint:
            return await _met(VLLMModel.at(target, self.settings), target.name, self.settings)
        return await _openai(self.settings, target.name)


_ENDPOINT = re.compile(r"^(?P<name>.*)@(?P<endpoint>https?://\S+|[\w.-]+:\d+\S*)$")


def assignments(typed: Iterable[str]) -> dict[str, Target]:
    """``ROLE=NAME``, ``ROLE=NAME@ENDPOINT`` or ``ROLE=@ENDPOINT`` as typed on a command line. Raises UserError."""
    assigned = {}
    for each in typed:
        role, equals, model = (part.strip() for part in each.partition("="))
        if not (role and equals and model):
            raise UserError(
                f"--role-model {each!r} does not say who is answered by what.",
                do='Write a role or a phase and a model: --role-model "Programmer=NAME", or NAME@http://host:8001/v1.',
            )
        elsewhere = _ENDPOINT.match(model)
        assigned[role] = (
            Target(elsewhere["name"], base_url(elsewhere["endpoint"], each)) if elsewhere else Target(model)
        )
    return assigned


async def choose(label: str | None, settings: Settings) -> Choice:
    """The model for ``label``: a name of ModelType in any letter case, or ``openai:NAME``.

    None: the own endpoint if VLLM_ENDPOINT is set, else OpenAI if OPENAI_API_KEY is, else what stands at the default
    address. A set endpoint that is dead falls back to OpenAI if there is a key. Raises UserError for an unknown label,
    and ModelError. The caller closes the backend.
    """
    if label is None:
        if settings.vllm_endpoint or settings.openai_api_key is None:
            return await _own(settings)
        return await _openai(settings, None, "VLLM_ENDPOINT is not set and OPENAI_API_KEY is: OpenAI is asked.")
    typed = label.strip()
    if typed.lower().startswith(OPENAI) and len(typed) > len(OPENAI):
        return await _openai(settings, typed[len(OPENAI) :])
    names = {name.upper(): kind for name, kind in ModelType.__members__.items()}
    kind = names.get(typed.upper())
    if kind is None:
        known = ", ".join(["VLLM", "VLLM_LOCAL", "DEMO", *(name for name in names if not name.startswith("VLLM"))])
        raise UserError(f"There is no model {label!r}.", do=f"There are: {known}, and openai:NAME.")
    if kind is ModelType.VLLM:
        return await _own(settings)
    if kind is ModelType.STUB:
        return await _met(StubModel(), ModelType.STUB.name, settings)
    return await _openai(settings, kind.value)


async def _own(settings: Settings) -> Choice:
    try:
        return await _met(VLLMModel(settings=settings), ModelType.VLLM.name, settings)
    except Unreachable as error:
        if settings.vllm_endpoint is None:
            await _point_to_others(error, settings)
        if not (settings.vllm_endpoint and settings.openai_api_key):
            raise
        return await _openai(settings, None, f"{error.what} OPENAI_API_KEY is set: OpenAI is asked instead.")


async def _point_to_others(error: Unreachable, settings: Settings) -> None:
    """Add to an error what does listen on this machine: whoever set nothing may have a server of another kind."""
    found = await discover.servers(addresses.of_vllm(settings))
    if found:
        error.do = f"{found[0].model} is served at {found[0].base_url}: set VLLM_ENDPOINT to that."


async def _openai(settings: Settings, name: str | None, *notes: str) -> Choice:
    backend = OpenAIModel(name, settings=settings)
    return await _met(
        backend,
        f"{OPENAI}{backend.wanted}",
        settings,
        *notes,
        f"Model: {backend.wanted} at {backend.address.base_url}.",
    )


async def _met(backend: ModelBackend, label: str, settings: Settings, *notes: str) -> Choice:
    try:
        facts = await backend.facts()
    except BaseException:
        await backend.aclose()
        raise
    return Choice(backend, facts, label, settings, (*settings.notes, *notes, *facts.notes))
