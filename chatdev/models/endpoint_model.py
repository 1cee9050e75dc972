"""One endpoint as a model: it describes itself once, and its calls share what was learned about it."""

import datetime
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from chatdev.models import address as addresses
from chatdev.models import endpoint, metrics, prices
from chatdev.models.address import Address
from chatdev.models.breaker import BACKOFF, Breaker, BreakerRegistry
from chatdev.models.call import EndpointState, ModelCall
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint import Facts
from chatdev.models.errors import KeyRefused, Loading, ModelError, ModelNotServed, Unreachable
from chatdev.models.fitting import TokenEstimator
from chatdev.models.metrics import Load
from chatdev.models.profile import Profile, Profiles
from chatdev.models.retry import FailoverCall
from chatdev.models.spending import CostBudget
from chatdev.models.types import Completion, Message, Options, Target, Watch
from chatdev.redaction import Redactor
from chatdev.settings import Settings, base_url

if TYPE_CHECKING:
    from chatdev.models.transport import Transport


_AGAIN = 60.0
"""Seconds after which a wait for the same reason is announced again."""


class EndpointModel(ChatModel):
    """The model ``wanted`` at one ``address``; ``default`` stands for the first one that the server lists.

    ``backoff`` are the seconds before each retry after a temporary fault. Models with the same ``breakers`` share what
    they know of the endpoint's health; ``cost_budget`` enforces the cost limit. One instance serves any number of
    concurrent calls, from any event loop and any thread.
    """

    def __init__(
        self,
        wanted: str,
        address: Address,
        settings: Settings,
        *,
        backoff: Sequence[float] = BACKOFF,
        breakers: BreakerRegistry | None = None,
        cost_budget: CostBudget | None = None,
    ) -> None:
        self.wanted, self.address = wanted, address
        self.cost_budget = cost_budget or CostBudget(settings.max_cost)
        self._breakers = breakers or BreakerRegistry()
        self._backoff = backoff
        self._transport: Transport | None = None
        self._state: EndpointState | None = None
        self._profiles = Profiles(settings.cache, Redactor(settings.secrets))
        self._stored_profile: Profile | None = None
        self._waits = settings.waits
        self._announced, self._announced_at = "", 0.0

    @classmethod
    def of_openai(
        cls,
        settings: Settings,
        name: str | None = None,
        *,
        backoff: Sequence[float] = BACKOFF,
        breakers: BreakerRegistry | None = None,
        cost_budget: CostBudget | None = None,
    ) -> "EndpointModel":
        """OpenAI's model of that ``name``; without one, the model that the settings name."""
        wanted = name or settings.openai_model or prices.load().default
        address = addresses.of_openai(settings)
        return cls(wanted, address, settings, backoff=backoff, breakers=breakers, cost_budget=cost_budget)

    @classmethod
    def of_vllm(
        cls,
        settings: Settings,
        target: Target | None = None,
        *,
        backoff: Sequence[float] = BACKOFF,
        breakers: BreakerRegistry | None = None,
    ) -> "EndpointModel":
        """The user's own model server; with a ``target``, another model or endpoint of the user's.

        Raises SettingsError for an endpoint that is not a URL.
        """
        target = target or Target()
        other = base_url(target.endpoint, "endpoint") if target.endpoint else ""
        wanted = target.name or ("default" if other else settings.vllm_model_name)
        return cls(wanted, addresses.of_vllm(settings, other), settings, backoff=backoff, breakers=breakers)

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        return await FailoverCall(messages, options, watch, self._backoff).complete_with_failover((self,))

    async def begin(self, messages: Sequence[Message], options: Options, watch: Watch | None) -> ModelCall:
        """See ``retry.Endpoint``."""
        state = await self._described()
        return ModelCall(self.opened_transport(), state, messages, options, watch, self.cost_budget)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of this endpoint."""
        return self._breakers.breaker(self.address.base_url, self.wanted)

    @property
    def reported_facts(self) -> Facts | None:
        """What the endpoint reported about itself; None before the first request."""
        return self._state.facts if self._state else None

    def patience(self, error: ModelError) -> float:
        """See ``retry.Endpoint``."""
        if isinstance(error, Loading):
            return self.address.deadlines.loading
        restarts = isinstance(error, Unreachable) and error.refused and self._state is not None
        return self.address.deadlines.loading if restarts and self._waits else 0.0

    def announce(self, reason: str, how_long: str) -> None:
        """See ``retry.Endpoint``. Calls that wait for the same reason say so once a minute."""
        now = time.monotonic()
        if self.notice and (reason != self._announced or now - self._announced_at >= _AGAIN):
            self._announced, self._announced_at = reason, now
            self.notice(self.address.masked(f"{reason} {how_long}"))

    def log_debug(self, text: str) -> None:
        """Send a text to ``debug``."""
        self.opened_transport().log_debug(text)

    async def facts(self) -> Facts:
        """See ChatModel."""
        return (await self._described()).facts

    async def _described(self) -> EndpointState:
        """The endpoint's state, after it described itself. Raises ModelError."""
        if self._state is None:
            self.check()
            transport = self.opened_transport()
            async with (await transport.opened()).describing:
                if self._state is None:
                    facts = await endpoint.ask(transport, self.wanted)
                    profile = self._stored_profile = await self._profile_of(transport, facts)
                    if profile:
                        facts = msgspec.structs.replace(facts, skill=profile.skill)
                    self._state = EndpointState(
                        facts,
                        profile or Profile(facts.base_url, facts.model),
                        TokenEstimator.between(profile.low, profile.high) if profile else TokenEstimator(),
                        frozenset(profile.adaptations if profile else ()),
                        has_answered=profile is not None,
                    )
        return self._state

    async def answers(self) -> bool:
        """Whether the server describes itself now."""
        try:
            await endpoint.ask(self.opened_transport(), self.wanted)
        except ModelError:
            return False
        return True

    async def load(self) -> Load | None:
        """See ChatModel."""
        return None if self.address.is_openai else await metrics.read(self.opened_transport())

    async def _profile_of(self, transport: "Transport", facts: Facts) -> Profile | None:
        """The profile that an earlier process stored for this endpoint, model and version."""
        if not self._profiles.any(facts.base_url, facts.model):
            return None
        _, version = await endpoint.identify(transport)
        return self._profiles.get(facts.base_url, facts.model, version)

    def check(self) -> None:
        """Raise before the request, in plainer words, for what OpenAI would refuse: KeyRefused, ModelNotServed."""
        if not self.address.is_openai:
            return
        if self.address.key is None:
            raise KeyRefused(
                "OpenAI requires an API key, and OPENAI_API_KEY is not set.",
                do="Set it, or start your own model server and set VLLM_ENDPOINT.",
            )
        if retired := prices.load().retired(self.wanted, datetime.date.today()):
            raise ModelNotServed(
                f"OpenAI shut {self.wanted} down on {retired.shutdown}.",
                do=f"Its replacement is {retired.replacement}: --model openai:{retired.replacement}",
            )

    def opened_transport(self) -> "Transport":
        if self._transport is None:
            from chatdev.models.transport import Transport

            self._transport = Transport(self.address)
        self._transport.debug = self.debug
        return self._transport

    async def aclose(self) -> None:
        """See ChatModel."""
        if self._state and self._stored_profile and self._state.profile != self._stored_profile:  # a run corrected it
            self._stored_profile = self._state.profile
            self._profiles.put(self._stored_profile)
        if self._transport:
            await self._transport.aclose()
