"""One call to one endpoint: adapted to its dialect and cut to its window. ``retry`` repeats it after a fault.

Each frame is named by what it adds: ``complete_in_slot``, ``_with_adaptation``, ``_within_cost_limit``,
``_with_request_id``; below them is ``Transport.post_chat``.
"""

import math
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from chatdev.models import constraints, endpoint, fitting, prices, refusals, request
from chatdev.models.address import Address
from chatdev.models.early_stop import StopCondition
from chatdev.models.endpoint import Facts
from chatdev.models.errors import WindowTooSmall
from chatdev.models.fitting import Doubt, Fitted, TokenEstimator
from chatdev.models.profile import Profile
from chatdev.models.refusals import Refusal
from chatdev.models.request import Adaptations
from chatdev.models.spending import CostBudget
from chatdev.models.stream import ServerAnswer
from chatdev.models.types import Completion, Message, Options, Watch
from chatdev.receipt import Receipt, Usage

if TYPE_CHECKING:
    from chatdev.models.transport import Reply, Transport


class EndpointState(msgspec.Struct):
    """What is known of an endpoint; shared by all its calls, and replaced field by field."""

    facts: Facts
    profile: Profile
    estimator: TokenEstimator = TokenEstimator()
    adaptations: Adaptations = frozenset()
    window_asked_again: bool = False
    has_answered: bool = False

    @property
    def constraint(self) -> str:
        """The kind of constraint for choices: the one that was found to work, else the engine's usual one."""
        choices = self.profile.choices
        return constraints.usual(self.facts.engine) if choices is None else choices

    @property
    def thinking_off(self) -> dict[str, Any]:
        """The fields that switch thinking off, for a model that is known to think; empty for others."""
        return self.profile.thinking_off if self.profile.thinks else {}

    def adapt(self, change: str) -> None:
        """Change all further requests to this endpoint."""
        self.adaptations |= {change}
        self.profile = msgspec.structs.replace(self.profile, adaptations=tuple(sorted(self.adaptations)))

    def learn(self, answer: ServerAnswer, options: Options, sent: Mapping[str, Any]) -> None:
        """Correct the profile if an answer contradicts it; ``sent`` is the request body of that answer."""
        profile, self.has_answered = self.profile, True
        if answer.reasoning.strip():
            switched_off = (
                options.thinking is False and bool(self.thinking_off) and self.thinking_off.keys() <= sent.keys()
            )
            profile = msgspec.structs.replace(
                profile, thinks=True, thinking_off={} if switched_off else profile.thinking_off
            )
        unconstrained = answer.finish_reason != "length" and not constraints.kept(answer.text, options.choices)
        if options.choices and profile.choices and unconstrained:
            profile = msgspec.structs.replace(profile, choices=constraints.NONE)
        self.profile = profile


class ModelCall:
    """One conversation that is being answered."""

    def __init__(
        self,
        transport: "Transport",
        state: EndpointState,
        messages: Sequence[Message],
        options: Options,
        watch: Watch | None,
        cost_budget: CostBudget,
    ) -> None:
        self._transport = transport
        self._state = state
        self._cost_budget = cost_budget
        self._uncut = messages
        self._fitted = Fitted(tuple(messages))
        self._options = options
        self._watch = watch
        self._ceiling = options.max_tokens
        self._counted: tuple[Fitted, int] | None = None
        self._shrunk = False
        self._requests = 0
        self._resent = 0
        self._fresh = False
        self._notes: list[str] = []
        self._spent: Usage | None = None

    @property
    def sent(self) -> int:
        """The number of requests sent so far."""
        return self._requests + self._resent

    async def complete_in_slot(self, *, fresh: bool = False) -> Completion:
        """The answer, once one of the endpoint's slots is free; may be awaited again after a fault.

        ``fresh``: send the request once more, on a new connection. Raises ModelError.
        """
        self._fresh = fresh
        try:
            async with (await self._transport.opened()).slot(self._state.profile.in_flight):
                return await self._with_adaptation()
        except WindowTooSmall as error:
            if self._state.facts.assumed:
                error.do += (
                    "\nThe server does not report its context window, so this size is assumed. If it is larger, "
                    "set it in chatdev.toml, for example: window = 16384"
                )
            raise

    async def _with_adaptation(self) -> Completion:
        """Send the request, adapted after each refusal, until it is accepted. Ends, since each change is made once."""
        state = self._state
        while True:
            made, limit = state.adaptations, self._limit()
            body = request.body(
                state.facts.model,
                self._fitted.messages,
                self._options,
                limit,
                made,
                state.constraint,
                state.thinking_off,
            )
            limit = request.limit_in(body, limit)
            reply = await self._within_cost_limit(body, limit)
            outcome = reply.outcome
            if isinstance(outcome, ServerAnswer):
                if outcome.finish_reason == "content_filter":
                    raise refusals.content_filtered(self._transport.address)
                state.learn(outcome, self._options, body)
                if self._lost_in_thought(outcome) and self._spent is None:
                    self._think_no_more(outcome, limit)
                    continue
                await self._ask_again_for_the_window()
                return self._completion(outcome, reply, limit, made)
            if outcome.overflow:
                self._shrink(outcome, limit)
            elif change := request.adaptation(outcome, body, self._fitted.messages, made):
                state.adapt(change)
            else:
                raise refusals.error(outcome, self._transport.address, state.facts.model, state.facts.served)

    async def _within_cost_limit(self, body: Mapping[str, Any], limit: int) -> "Reply":
        """Send a request if its highest cost is allowed: by the upper estimate of the prompt, and ``limit``."""
        address, model = self._transport.address, self._state.facts.model
        if address.free:
            return await self._with_request_id(body)
        most = Usage(self._state.estimator.span(self._fitted.messages)[1], limit)
        with self._cost_budget.hold(_cost(address, model, most), model) as bill:
            reply = await self._with_request_id(body)
            if isinstance(reply.outcome, Refusal):
                bill.cost = 0.0
            elif reply.outcome.usage:
                bill.cost = _cost(address, model, reply.outcome.usage) or 0.0
        return reply

    async def _with_request_id(self, body: Mapping[str, Any]) -> "Reply":
        """Send a request under its id, and say when its answer may be ended early."""
        fresh, self._fresh = self._fresh, False
        self._requests += not fresh
        self._resent += fresh
        return await self._transport.post_chat(
            body,
            request_id=self._request_id(),
            watch=self._watch,
            stop_condition=self._stop_condition if self._options.early else None,
            fresh=fresh,
        )

    def _stop_condition(self) -> StopCondition:
        """Ends the stream early. An endpoint's first answer shows whether its model thinks aloud, so that answer is
        never taken for complete before its end."""
        state, early = self._state, self._options.early
        return StopCondition(early.enough if early and state.has_answered else None, thinks=bool(state.profile.thinks))

    def _request_id(self) -> str:
        """``PLACE;TRY;SUFFIX``: the place for a recording, and a suffix since some servers require unique ids."""
        if not self._options.request_id:
            return ""
        return f"{quote(self._options.request_id)};{self._requests};{random.getrandbits(32):08x}"

    def _limit(self) -> int:
        """Cut the conversation to the window as far as needed; returns the token limit of the answer.

        Raises WindowTooSmall if the conversation cannot fit.
        """
        window, estimator = self._state.facts.window, self._state.estimator
        # The server refused and gave no count: its tokenizer is far off, so the cut assumes twice the estimate.
        careful = (
            msgspec.structs.replace(estimator, high=2 * estimator.high)
            if self._shrunk and not self._counted
            else estimator
        )
        self._fitted = fitting.fit(self._uncut, careful, self._ceiling, window)
        low, high = estimator.span(self._fitted.messages)
        if counted := self._count:
            low = high = counted
        fitting.require(self._ceiling, window, low, counted=counted is not None, cuts=self._fitted.cuts)
        return fitting.clamp(self._ceiling, window, high)

    @property
    def _count(self) -> int | None:
        """The server's count for this conversation as it is cut now; None if it has not counted that."""
        return self._counted[1] if self._counted and self._counted[0] == self._fitted else None

    @staticmethod
    def _lost_in_thought(answer: ServerAnswer) -> bool:
        """Whether the model reached the limit while still thinking, before the first word of the answer."""
        thought = answer.reasoning.strip() or (answer.usage and answer.usage.reasoning_tokens)
        return answer.finish_reason == "length" and not answer.text.strip() and bool(thought)

    def _think_no_more(self, answer: ServerAnswer, limit: int) -> None:
        """Retry once with thinking off, and with twice the limit if the window allows: a server that does not know
        the switch ignores it, and its model thinks again."""
        self._state.profile = msgspec.structs.replace(self._state.profile, thinks=True)
        self._options = msgspec.structs.replace(self._options, thinking=False)
        self._spent = answer.usage or Usage(0, answer.pieces, estimated=True)
        if self._state.facts.window is not None and not self._shrunk:
            self._ceiling = max(self._ceiling, 2 * limit)
        how = "with thinking off" if self._state.thinking_off else "with a higher limit"
        self._notes.append(f"retried {how}: an answer reached its token limit while the model was still thinking")

    async def _ask_again_for_the_window(self) -> None:
        """Ollama and LM Studio report the window of loaded models only; after its answer, this model is loaded."""
        state = self._state
        if state.facts.assumed and not state.window_asked_again:
            state.window_asked_again = True
            if window := await endpoint.probe(self._transport, state.facts.model):
                state.facts = msgspec.structs.replace(state.facts, window=window, assumed=False)
                self._notes.append(f"the server reported its context window after its first answer: {window:,} tokens")

    def _shrink(self, refusal: Refusal, limit: int) -> None:
        """Reduce the answer's limit, once, by the numbers in the server's refusal. Raises WindowTooSmall.

        The window that the server announced takes precedence over the one in the message: vLLM 0.15 subtracts
        ``max_tokens`` from it there.
        """
        state = self._state
        if refusal.window and (state.facts.window is None or state.facts.assumed):
            state.facts = msgspec.structs.replace(state.facts, window=refusal.window, assumed=False)
        window = state.facts.window
        if refusal.prompt:
            state.estimator = state.estimator.learn(self._fitted.messages, refusal.prompt)
            self._counted = self._fitted, refusal.prompt
        if self._shrunk:
            minimum, count = min(self._ceiling, fitting.MINIMUM_ANSWER), self._count
            least = max(state.estimator.span(self._fitted.messages)[1], (window or 0) - minimum + 1)
            raise fitting.too_small(minimum, window, count or least, counted=count is not None, cuts=self._fitted.cuts)
        self._shrunk = True
        if not (refusal.prompt and window):
            self._ceiling = min(limit, max(limit // 4, fitting.MINIMUM_ANSWER))

    def _starved(self, answer: ServerAnswer, usage: Usage, limit: int) -> bool:
        """Whether the window ended an answer that had hardly begun: some servers cut it there silently."""
        short = usage.completion_tokens < min(self._options.max_tokens, limit, fitting.MINIMUM_ANSWER)
        window = self._state.facts.window
        return answer.finish_reason == "length" and short and bool(window and usage.total_tokens >= window)

    def _completion(self, answer: ServerAnswer, reply: "Reply", limit: int, made: Adaptations) -> Completion:
        state, address = self._state, self._transport.address
        span = state.estimator.span(self._fitted.messages)
        notes = [*sorted(made), *self._notes, *answer.notes]
        usage = answer.usage
        if usage is None:
            pieces = max(answer.pieces, math.ceil(fitting.weight(answer.text + answer.reasoning)))
            usage = Usage(span[1], pieces, estimated=True)
        elif (doubt := fitting.doubt(span, usage.prompt_tokens)) is Doubt.CERTAIN:
            raise refusals.prompt_cut(address, usage.prompt_tokens, sum(span) // 2)
        elif doubt is Doubt.NONE:
            state.estimator = state.estimator.learn(self._fitted.messages, usage.prompt_tokens)
        if self._starved(answer, usage, limit):
            minimum = min(self._options.max_tokens, fitting.MINIMUM_ANSWER)
            prompt, cuts = usage.prompt_tokens, self._fitted.cuts
            raise fitting.too_small(minimum, state.facts.window, prompt, counted=not usage.estimated, cuts=cuts)
        cut = answer.end_assumed and usage.completion_tokens >= limit
        if self._spent:
            usage = usage.plus(self._spent)
        return Completion(
            text=answer.text,
            reasoning=answer.reasoning,
            finish_reason="length" if cut else answer.finish_reason,
            receipt=Receipt(
                **msgspec.structs.asdict(usage),
                endpoint=address.base_url,
                model=answer.model or state.facts.model,
                asked=state.facts.model,
                tries=self.sent,
                first_token=reply.first_token,
                seconds=reply.seconds,
                max_tokens=limit,
                adapted=tuple(notes),
                cuts=self._fitted.cuts,
                stopped=answer.stopped,
                text_in=answer.text_in,
                cost=0.0 if address.free else _cost(address, state.facts.model, usage),
            ),
            id=answer.id or f"chatcmpl-{random.getrandbits(64):016x}",
            created=answer.created or int(time.time()),
        )


def _cost(address: Address, model: str, usage: Usage) -> float | None:
    """The cost of ``usage`` at this endpoint in US dollars; None if the price is not state."""
    return prices.load().cost(model, usage) if address.is_openai else None
