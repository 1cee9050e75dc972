"""The protocol by which ChatDev uses a model, whichever endpoints are behind it.

``ModelBackend`` is the public class of ChatDev 1.0's name; it delegates to one of these.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from chatdev.models.endpoint import Facts
from chatdev.models.metrics import Load
from chatdev.models.types import Completion, Message, Options, Watch


class ChatModel(Protocol):
    """Anything that answers a conversation. A class that inherits from it needs ``complete`` and ``facts``; the other
    methods have defaults. ``debug`` gets a text for each request and answer, ``notice`` one for each longer wait.
    """

    debug: Callable[[str], None] | None = None
    notice: Callable[[str], None] | None = None

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """Answer a conversation; ``watch`` gets the answer piece by piece if it is streamed. Raises ModelError."""
        ...

    async def facts(self) -> Facts:
        """What the endpoint reports about itself; requested only once. Raises ModelError."""
        ...

    async def least_window(self) -> int | None:
        """The smallest context window, in tokens, of the endpoints that may answer here; None if none is known."""
        return (await self.facts()).window

    def beyond(self, avoid: Sequence[str]) -> bool:
        """Whether there is a usable endpoint other than those at these base URLs."""
        return False

    async def load(self) -> Load | None:
        """The server's own counters now, over all its traffic; None if it does not report them."""
        return None

    async def aclose(self) -> None:
        """Close all connections; they are opened again if the model is used again."""
        return
