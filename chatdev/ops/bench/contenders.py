"""The endpoints that a benchmark measures, and what that may cost."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from chatdev import settings as house
from chatdev.models import address, discover, prices
from chatdev.models.breaker import BACKOFF
from chatdev.models.choose import OPENAI
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.errors import ModelError
from chatdev.models.types import Target
from chatdev.ops.bench.workload import Workload
from chatdev.receipt import Usage
from chatdev.settings import Settings, urls


class Contender(msgspec.Struct, frozen=True):
    """An endpoint to measure. ``named`` is how the user named it; ``paid``: it may charge for tokens. ``tries`` is how
    often a call is sent at most when temporary faults occur."""

    named: str
    backend: EndpointModel
    paid: bool
    tries: int = 1 + len(BACKOFF)


class MeasurableContender(msgspec.Struct, frozen=True):
    """A contender with its facts, or the reason why it cannot be measured."""

    contender: Contender
    facts: Facts | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """The model and where it is."""
        where = urlsplit(self.contender.backend.address.base_url).netloc
        return f"{self.facts.model} at {where}" if self.facts else self.contender.named


async def unnamed(settings: Settings, ports: tuple[int, ...] = ()) -> tuple[str, ...]:
    """The endpoints to measure if the user names none: VLLM_ENDPOINT if it is set, else the servers on this machine
    that listen on one of ``ports``, else the default address, although nothing answers there."""
    if settings.vllm_endpoint:
        return settings.endpoints
    found = await discover.servers(address.of_vllm(settings), ports)
    return tuple(facts.base_url.replace("127.0.0.1", "localhost") for facts in found) or (settings.endpoint,)


def contender(text: str, settings: Settings, backoff: Sequence[float] = BACKOFF) -> Contender:
    """The endpoint that ``URL``, ``URL=MODEL`` or ``openai:NAME`` names. Raises SettingsError.

    A server on this machine, in a private network, or at VLLM_ENDPOINT is the user's own and costs nothing. Keys are
    sent only where they belong, as in a run. doctor's profile is not used: it may limit the calls in flight.
    """
    settings = msgspec.structs.replace(settings, cache=None)
    if text.lower().startswith(OPENAI):
        return _openai(text, text[len(OPENAI) :].strip(), settings, backoff)
    url, _, model = (part.strip() for part in text.partition("="))
    base_url = house.base_url(url, "The endpoint")
    if urls.is_openai(urls.host_of(base_url)):
        secured = base_url.replace("http://", "https://", 1)  # a key will be sent
        return _openai(text, model, msgspec.structs.replace(settings, openai_base_url=secured), backoff)
    own = settings.owns(base_url)
    target = Target(model or (settings.vllm_model_name if own else "default"), base_url)
    paid = not own and not urls.is_private(urls.host_of(base_url))
    return Contender(text, EndpointModel.of_vllm(settings, target, backoff=backoff), paid, 1 + len(backoff))


def _openai(text: str, model: str, settings: Settings, backoff: Sequence[float]) -> Contender:
    backend = EndpointModel.of_openai(settings, model or None, backoff=backoff)
    return Contender(text, backend, not backend.address.free, 1 + len(backoff))


async def query_facts(contender: Contender) -> MeasurableContender:
    """Query an endpoint for its facts; if it does not answer, the result holds the reason."""
    try:
        return MeasurableContender(contender, await contender.backend.facts())
    except ModelError as error:
        return MeasurableContender(contender, why=" ".join(part for part in (error.what, error.do) if part))


def price(candidate: MeasurableContender, usage: Usage) -> float | None:
    """The cost of this many tokens there in US dollars: 0 on the user's own server, None if not known."""
    if not candidate.contender.paid:
        return 0.0
    priced = candidate.facts is not None and candidate.contender.backend.address.is_openai
    return prices.load().cost(candidate.facts.model, usage) if priced and candidate.facts else None


def estimate(candidate: MeasurableContender, workload: Workload, projects: int) -> str:
    """What measuring a paid endpoint may cost, as a line for the user to confirm."""
    one = workload.most()
    prompts, answers = projects * one.prompt_tokens, projects * one.completion_tokens
    cost = price(candidate, Usage(prompts, answers))
    money = "its price is not known" if cost is None else f"at most about {cost:.2f} US dollars"
    return (
        f"{candidate.name}: {money}, for {projects} projects of {len(workload.calls)} calls: up to {prompts:,} prompt "
        f"and {answers:,} completion tokens."
    )
