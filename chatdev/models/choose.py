"""Which model answers: from the label on the command line and the settings to a backend that described itself."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from chatdev.errors import UserError
from chatdev.models import address as addresses
from chatdev.models import discover
from chatdev.models.backend import StubChatModel
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.errors import Loading, Unreachable
from chatdev.models.fallback import Fallback
from chatdev.models.retry import clock
from chatdev.models.spending import CostBudget
from chatdev.models.types import ModelType, Target
from chatdev.settings import Settings, base_url
from chatdev.settings.urls import shown

OPENAI = "openai:"

POLL = 5.0
"""Seconds between two questions to a server that is not ready when a run starts."""


class _Means(NamedTuple):
    """What every backend of a run is created with."""

    settings: Settings
    breakers: BreakerRegistry
    cost_budget: CostBudget
    notice: Callable[[str], None] | None = None


class Choice(msgspec.Struct, frozen=True):
    """A backend that has described itself, its label, and the settings that it was chosen by. ``notes`` are lines to
    print before the first call. ``breakers`` and ``cost_budget`` are shared with all colleagues."""

    backend: ChatModel
    facts: Facts
    label: str
    settings: Settings
    notes: tuple[str, ...] = ()
    breakers: BreakerRegistry = msgspec.field(default_factory=BreakerRegistry)
    cost_budget: CostBudget = msgspec.field(default_factory=CostBudget)

    @property
    def _means(self) -> _Means:
        return _Means(self.settings, self.breakers, self.cost_budget, self.backend.notice)

    async def colleague(self, target: Target) -> "Choice":
        """Another model beside this one, after it described itself. Raises ModelError. The caller closes its backend.

        A target without an endpoint is served where this model is.
        """
        if target.name.lower().startswith(OPENAI) and not target.endpoint:
            return await _openai(self._means, target.name[len(OPENAI) :])
        if isinstance(self.backend, Fallback) or target.endpoint:
            return await _own(self._means, target)
        return await _openai(self._means, target.name)


_ENDPOINT = re.compile(r"^(?P<name>.*?)@(?P<endpoint>https?://.+|[\w.-]+:\d+\S*)$")


def assignments(typed: Iterable[str]) -> dict[str, Target]:
    """Parse ``ROLE=NAME``, ``ROLE=NAME@ENDPOINT`` or ``ROLE=@ENDPOINT`` from a command line. Raises UserError."""
    assigned = {}
    for each in typed:
        role, equals, model = (part.strip() for part in each.partition("="))
        if not (role and equals and model):
            raise UserError(
                f"--role-model {shown(each)!r} is not of the form ROLE=MODEL.",
                do='Name a role or a phase, and a model: --role-model "Programmer=NAME", or NAME@http://host:8001/v1.',
            )
        name, endpoint = found.groups() if (found := _ENDPOINT.match(model)) else (model, "")
        if endpoint and re.search(r".@[^@]*:", name):  # what looks like a login must not become a model's name
            endpoint = model.partition("@")[2]
        assigned[role] = Target(name, base_url(endpoint, f"--role-model {role}") if endpoint else "")
    return assigned


def forbidden(settings: Settings) -> bool:
    """Whether the user has forbidden OpenAI: ``local_only`` is set, and its address is not a private host."""
    return settings.local_only and not addresses.of_openai(settings).free


async def choose(
    label: str | None,
    settings: Settings,
    breakers: BreakerRegistry | None = None,
    cost_budget: CostBudget | None = None,
    notice: Callable[[str], None] | None = None,
) -> Choice:
    """The model for ``label``: a name of ModelType in any letter case, ``openai:NAME``, or a name of
    the user's own server.

    None: the user's endpoints if VLLM_ENDPOINT is set, else OpenAI if OPENAI_API_KEY is, else the default address.
    Endpoints from VLLM_ENDPOINT fall back to OpenAI if there is a key, now and later. ``breakers`` and ``cost_budget``
    are shared by all the runs of a process; ``notice`` gets a text for each longer wait. Raises UserError for an
    unknown or forbidden label, and ModelError. The caller closes the backend.
    """
    cost_budget = cost_budget or CostBudget(settings.max_cost)
    means = _Means(settings, breakers or BreakerRegistry(), cost_budget, notice)
    if label is None:
        if settings.vllm_endpoint or settings.openai_api_key is None or forbidden(settings):
            return await _own(means)
        why = "Using OpenAI: OPENAI_API_KEY is set and VLLM_ENDPOINT is not."
        return await _openai(means, None, why)
    typed = label.strip()
    if typed.lower().startswith(OPENAI) and len(typed) > len(OPENAI):
        return await _openai(means, typed[len(OPENAI) :])
    names = {name.upper(): kind for name, kind in ModelType.__members__.items()}
    kind = names.get(typed.upper())
    if kind is None:
        return await _served(means, typed, names)
    if kind is ModelType.VLLM:
        return await _own(means)
    if kind is ModelType.STUB:
        return await _described(StubChatModel(), ModelType.STUB.name, means)
    return await _openai(means, kind.value)


async def _served(means: _Means, name: str, names: Iterable[str]) -> Choice:
    """The model with this name on the user's own endpoints."""
    unknown = UserError(
        f"Unknown model {name!r}.",
        do="Choose one of: "
        + ", ".join(["VLLM", "VLLM_LOCAL", "DEMO", *(each for each in names if not each.startswith("VLLM"))])
        + ", openai:NAME, or a name that your endpoint serves.",
    )
    if not name or name.endswith(":"):
        raise unknown
    try:
        return await _own(means, Target(name))
    except Unreachable as error:
        if means.settings.vllm_endpoint:
            raise
        unknown.tried = (error.what,)
        raise unknown from None


async def _own(means: _Means, target: Target | None = None) -> Choice:
    """The user's own endpoints, then OpenAI if that is allowed; for a ``target``, its model or endpoint first."""
    settings, breakers, cost_budget, _ = means
    wanted = target or Target(settings.vllm_model_name)
    own = [Target(wanted.name, url) for url in ((wanted.endpoint,) if wanted.endpoint else settings.endpoints)]
    firsts = len(own)
    if wanted.endpoint and settings.vllm_endpoint:  # a role's own server comes first, then the run's others
        others = (url for url in settings.endpoints if url != wanted.endpoint)
        own += [Target(settings.vllm_model_name, url) for url in others]
    servers = [EndpointModel.of_vllm(settings, each, breakers=breakers) for each in own]
    last = None
    replaced = settings.openai_base_url in settings.endpoints  # the same server is no fallback
    if settings.vllm_endpoint and settings.openai_api_key and not replaced and not forbidden(settings):
        last = EndpointModel.of_openai(settings, breakers=breakers, cost_budget=cost_budget)
    # A model that was named for a role must answer when the run begins; no other may replace it then.
    backend = Fallback(servers, last, begins=target is None, firsts=firsts, backoff=breakers.backoff)
    try:
        return await _described(backend, wanted.name if target else ModelType.VLLM.name, means)
    except Unreachable as error:
        if settings.vllm_endpoint is None and target is None:
            await _point_to_others(error, settings)
        raise


async def _point_to_others(error: Unreachable, settings: Settings) -> None:
    """Point an error to a server that does listen on this machine: without settings, it may use another port."""
    found = await discover.servers(addresses.of_vllm(settings))
    if found:
        error.do = f"{found[0].model} is served at {found[0].base_url}: set VLLM_ENDPOINT to that address."


async def _openai(means: _Means, name: str | None, *notes: str) -> Choice:
    settings, breakers, cost_budget, _ = means
    backend = EndpointModel.of_openai(
        settings, name, backoff=breakers.backoff, breakers=breakers, cost_budget=cost_budget
    )
    if forbidden(settings):
        raise UserError(
            f"This needs OpenAI's {backend.wanted}, and --local-only (or CHATDEV_LOCAL_ONLY) forbids that.",
            do="Remove that setting, or choose a model on a server of your own.",
        )
    return await _described(
        backend,
        f"{OPENAI}{backend.wanted}",
        means,
        *notes,
        f"Model: {backend.wanted} at {backend.address.base_url}.",
    )


async def _awaited(backend: ChatModel, settings: Settings) -> Facts:
    """What the backend reports about itself, once its server is ready: one that says that it is loading has
    ``deadlines.loading`` seconds, one that does not answer has ``wait_at_start``. Raises ModelError."""
    began, limit, announced = time.monotonic(), settings.wait_at_start, ""
    while True:
        try:
            return await backend.facts()
        except (Loading, Unreachable) as error:
            if isinstance(error, Loading) and settings.waits:
                limit = max(limit, settings.deadlines.loading)
            left = began + limit - time.monotonic()
            if left <= 0:
                raise
            if backend.notice and error.what != announced:
                announced = error.what
                backend.notice(f"{error.what} Trying again every {POLL:.0f} s, until {clock(left)} at the latest.")
        await asyncio.sleep(min(POLL, left))


async def _described(backend: ChatModel, label: str, means: _Means, *notes: str) -> Choice:
    backend.notice = means.notice
    try:
        facts = await _awaited(backend, means.settings)
    except BaseException:
        await backend.aclose()
        raise
    if isinstance(backend, Fallback):
        notes += backend.notes
    settings, breakers, cost_budget, _ = means
    return Choice(backend, facts, label, settings, (*settings.notes, *notes, *facts.notes), breakers, cost_budget)
