"""The endpoint under examination, and how requests are sent to it: adapted as in a run."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from chatdev.models import refusals, request
from chatdev.models.endpoint import Facts
from chatdev.models.errors import Disconnected
from chatdev.models.profile import Profile
from chatdev.models.request import Adaptations
from chatdev.models.stream import ServerAnswer
from chatdev.models.transport import Reply, Transport
from chatdev.models.types import Message, Options

SHORT = 48
"""Tokens of an answer of which only the form matters."""


class Subject:
    """An endpoint whose facts are known. ``profile`` collects the results; ``seen`` holds the answers so far;
    ``refused``: the server rejected the last request itself (a status below 500)."""

    def __init__(self, line: Transport, facts: Facts, profile: Profile) -> None:
        self.line = line
        self.facts = facts
        self.profile = profile
        self.adapted: Adaptations = frozenset()
        self.seen: list[ServerAnswer] = []
        self.refused = False

    async def ask(
        self,
        check: str,
        text: str,
        *,
        max_tokens: int = SHORT,
        temperature: float = 0.0,
        stream: bool = True,
        fields: Mapping[str, Any] | None = None,
        adapt: bool = True,
    ) -> tuple[ServerAnswer, Reply]:
        """The answer to one question, and the reply that held it. Fields that the server rejects are left out, as in a
        run, unless ``adapt`` is False. Thinking is turned off once it is known how. Raises ModelError."""
        messages: Sequence[Message] = (Message("user", text),)
        quiet = self.profile.thinking_off if self.profile.thinks else {}
        options = Options(temperature=temperature, stream=stream, extra={**quiet, **(fields or {})})
        while True:
            made = self.adapted
            body = request.body(self.facts.model, messages, options, max_tokens, made)
            ident = f"doctor.1/{check}.1;1;{random.getrandbits(32):08x}"
            reply = await self._posted(body, ident)
            outcome = reply.outcome
            self.refused = not isinstance(outcome, ServerAnswer) and outcome.status < 500
            if isinstance(outcome, ServerAnswer):
                self.seen.append(outcome)
                return outcome, reply
            change = request.adaptation(outcome, body, messages, made) if adapt else None
            if change is None:
                raise refusals.error(outcome, self.line.address, self.facts.model, self.facts.served)
            self.adapted |= {change}

    async def _posted(self, body: Mapping[str, Any], request_id: str) -> Reply:
        try:
            return await self.line.post_chat(body, request_id=request_id)
        except Disconnected:  # a pooled connection that the server had closed
            return await self.line.post_chat(body, request_id=request_id, fresh=True)
