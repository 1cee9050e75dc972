"""Which model answers: from the label on the command line and the settings to a backend that was asked who it is."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from chatdev.errors import UserError
from chatdev.models import address as addresses
from chatdev.models import discover
from chatdev.models.backend import ModelBackend, OpenAIModel, StubModel, VLLMModel
from chatdev.models.breaker import Switchboard
from chatdev.models.endpoint import Facts
from chatdev.models.errors import Unreachable
from chatdev.models.fallback import Fallback
from chatdev.models.purse import Purse
from chatdev.models.types import ModelType, Target
from chatdev.settings import Settings, base_url

OPENAI = "openai:"


class _Means(NamedTuple):
    """What every backend of a run is made with."""

    settings: Settings
    board: Switchboard
    purse: Purse


class Choice(msgspec.Struct, frozen=True):
    """A backend that answered for itself, under its label, and the settings that it was chosen by. ``notes`` are lines
    to print before the first call. ``board`` and ``purse`` are shared with all colleagues."""

    backend: ModelBackend
    facts: Facts
    label: str
    settings: Settings
    notes: tuple[str, ...] = ()
    board: Switchboard = msgspec.field(default_factory=Switchboard)
    purse: Purse = msgspec.field(default_factory=Purse)

    @property
    def _means(self) -> _Means:
        return _Means(self.settings, self.board, self.purse)

    async def colleague(self, target: Target) -> "Choice":
        """Another model beside this one, asked who it is. Raises ModelError. The caller closes its backend.

        What names no endpoint is served where this one is.
        """
        if target.name.lower().startswith(OPENAI) and not target.endpoint:
            return await _openai(self._means, target.name[len(OPENAI) :])
        if isinstance(self.backend, Fallback) or target.endpoint:
            return await _own(self._means, target)
        return await _openai(self._means, target.name)


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


def forbidden(settings: Settings) -> bool:
    """Whether OpenAI may not be asked: it is another company's, and the user wants nothing to go to one."""
    return settings.local_only and not addresses.of_openai(settings).free


async def choose(
    label: str | None, settings: Settings, board: Switchboard | None = None, purse: Purse | None = None
) -> Choice:
    """The model for ``label``: a name of ModelType in any letter case, or ``openai:NAME``.

    None: the own endpoints if VLLM_ENDPOINT is set, else OpenAI if OPENAI_API_KEY is, else what stands at the default
    address. Set endpoints fall back to OpenAI if there is a key, now and later. ``board`` and ``purse`` are
    shared by all the runs of a process. Raises UserError for an unknown label or a forbidden one, and ModelError. The
    caller closes the backend.
    """
    means = _Means(settings, board or Switchboard(), purse or Purse(settings.max_cost))
    if label is None:
        if settings.vllm_endpoint or settings.openai_api_key is None or forbidden(settings):
            return await _own(means)
        why = "VLLM_ENDPOINT is not set and OPENAI_API_KEY is: OpenAI is asked."
        return await _openai(means, None, why)
    typed = label.strip()
    if typed.lower().startswith(OPENAI) and len(typed) > len(OPENAI):
        return await _openai(means, typed[len(OPENAI) :])
    names = {name.upper(): kind for name, kind in ModelType.__members__.items()}
    kind = names.get(typed.upper())
    if kind is None:
        known = ", ".join(["VLLM", "VLLM_LOCAL", "DEMO", *(name for name in names if not name.startswith("VLLM"))])
        raise UserError(f"There is no model {label!r}.", do=f"There are: {known}, and openai:NAME.")
    if kind is ModelType.VLLM:
        return await _own(means)
    if kind is ModelType.STUB:
        return await _met(StubModel(), ModelType.STUB.name, means)
    return await _openai(means, kind.value)


async def _own(means: _Means, target: Target | None = None) -> Choice:
    """The user's own endpoints, and OpenAI behind them where that is allowed; for a ``target``, its model or place."""
    settings, board, purse = means
    wanted = target or Target(settings.vllm_model_name)
    own = [Target(wanted.name, url) for url in ((wanted.endpoint,) if wanted.endpoint else settings.endpoints)]
    firsts = len(own)
    if wanted.endpoint and settings.vllm_endpoint:  # a role's own server; the run's others stand behind it
        others = (url for url in settings.endpoints if url != wanted.endpoint)
        own += [Target(settings.vllm_model_name, url) for url in others]
    servers = [VLLMModel.at(each, settings, board=board) for each in own]
    last = None
    if settings.vllm_endpoint and settings.openai_api_key and not forbidden(settings):
        last = OpenAIModel(settings=settings, board=board, purse=purse)
    # Where another model was named for a role, no other may begin in its place.
    backend = Fallback(servers, last, begins=target is None, firsts=firsts, backoff=board.backoff)
    try:
        return await _met(backend, wanted.name if target else ModelType.VLLM.name, means)
    except Unreachable as error:
        if settings.vllm_endpoint is None and target is None:
            await _point_to_others(error, settings)
        raise


async def _point_to_others(error: Unreachable, settings: Settings) -> None:
    """Add to an error what does listen on this machine: whoever set nothing may have a server of another kind."""
    found = await discover.servers(addresses.of_vllm(settings))
    if found:
        error.do = f"{found[0].model} is served at {found[0].base_url}: set VLLM_ENDPOINT to that."


async def _openai(means: _Means, name: str | None, *notes: str) -> Choice:
    settings, board, purse = means
    backend = OpenAIModel(name, settings=settings, backoff=board.backoff, board=board, purse=purse)
    if forbidden(settings):
        raise UserError(
            f"OpenAI's {backend.wanted} would be asked, and --local-only (or CHATDEV_LOCAL_ONLY) forbids that.",
            do="Leave that out, or name a model on a server of your own.",
        )
    return await _met(
        backend,
        f"{OPENAI}{backend.wanted}",
        means,
        *notes,
        f"Model: {backend.wanted} at {backend.address.base_url}.",
    )


async def _met(backend: ModelBackend, label: str, means: _Means, *notes: str) -> Choice:
    try:
        facts = await backend.facts()
    except BaseException:
        await backend.aclose()
        raise
    if isinstance(backend, Fallback):
        notes += backend.notes
    settings, board, purse = means
    return Choice(backend, facts, label, settings, (*settings.notes, *notes, *facts.notes), board, purse)
