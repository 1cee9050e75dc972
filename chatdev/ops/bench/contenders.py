"""Whom a bench asks, and what that may cost."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from chatdev import settings as house
from chatdev.models import address, discover, prices
from chatdev.models.backend import OpenAIModel, VLLMModel
from chatdev.models.breaker import BACKOFF
from chatdev.models.choose import OPENAI
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ModelError
from chatdev.models.types import Target, Usage
from chatdev.ops.bench.workload import Workload
from chatdev.settings import Settings


class Contender(msgspec.Struct, frozen=True):
    """An endpoint to be measured. ``named`` is how the user named it; ``paid``: it may take money for its tokens.
    ``tries`` is how often a call is sent at most while faults pass."""

    named: str
    backend: OpenAIModel
    paid: bool
    tries: int = 1 + len(BACKOFF)


class Met(msgspec.Struct, frozen=True):
    """A contender that told what it is, or the reason why it cannot be measured."""

    contender: Contender
    facts: Facts | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """The model and where it is."""
        where = urlsplit(self.contender.backend.address.base_url).netloc
        return f"{self.facts.model} at {where}" if self.facts else self.contender.named


async def unnamed(settings: Settings, ports: tuple[int, ...] = discover.PORTS) -> tuple[str, ...]:
    """Whom to measure where nobody is named: VLLM_ENDPOINT if it is set, else the servers on this machine that listen
    at one of ``ports``, else the default address, which then does not answer."""
    if settings.vllm_endpoint:
        return settings.endpoints
    found = await discover.servers(address.of_vllm(settings), ports)
    return tuple(facts.base_url.replace("127.0.0.1", "localhost") for facts in found) or (settings.endpoint,)


def contender(text: str, settings: Settings, backoff: Sequence[float] = BACKOFF) -> Contender:
    """The endpoint that ``URL``, ``URL=MODEL`` or ``openai:NAME`` names. Raises SettingsError.

    A server on this machine, in a private network, or at VLLM_ENDPOINT is the user's own and takes no money. Keys go
    where they were set for, as in a run. What doctor found out is left aside: it may limit the calls in flight.
    """
    settings = msgspec.structs.replace(settings, cache=None)
    if text.lower().startswith(OPENAI):
        return _openai(text, text[len(OPENAI) :].strip(), settings, backoff)
    url, _, model = (part.strip() for part in text.partition("="))
    base_url = house.base_url(url, "The endpoint")
    if address.host_of(base_url).endswith("openai.com"):
        secured = base_url.replace("http://", "https://", 1)  # a key is to be sent
        return _openai(text, model, msgspec.structs.replace(settings, openai_base_url=secured), backoff)
    own = settings.owns(base_url)
    target = Target(model or (settings.vllm_model_name if own else "default"), base_url)
    paid = not own and not address.is_private(address.host_of(base_url))
    return Contender(text, VLLMModel.at(target, settings, backoff=backoff), paid, 1 + len(backoff))


def _openai(text: str, model: str, settings: Settings, backoff: Sequence[float]) -> Contender:
    backend = OpenAIModel(model or None, settings=settings, backoff=backoff)
    return Contender(text, backend, not backend.address.free, 1 + len(backoff))


async def meet(contender: Contender) -> Met:
    """Ask an endpoint what it is; one that does not answer is met with the reason."""
    try:
        return Met(contender, await contender.backend.facts())
    except ModelError as error:
        return Met(contender, why=" ".join(part for part in (error.what, error.do) if part))


def price(met: Met, usage: Usage) -> float | None:
    """What this many tokens cost there in US dollars: 0 on a server of the user's own, None where it is not known."""
    if not met.contender.paid:
        return 0.0
    known = met.facts is not None and met.contender.backend.address.is_openai
    return prices.load().cost(met.facts.model, usage) if known and met.facts else None


def estimate(met: Met, workload: Workload, projects: int) -> str:
    """What measuring an endpoint that takes money may cost, as a line to be agreed to."""
    one = workload.most()
    prompts, answers = projects * one.prompt_tokens, projects * one.completion_tokens
    cost = price(met, Usage(prompts, answers))
    money = "its price is not known here" if cost is None else f"about {cost:.2f} US dollars at most"
    return (
        f"{met.name}: {money}, for {projects} projects of {len(workload.calls)} calls: up to {prompts:,} prompt and "
        f"{answers:,} completion tokens."
    )
