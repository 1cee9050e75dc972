"""What can go wrong between us and a model server, by who must act.

Foreign errors (sockets, HTTP status codes, broken JSON) are mapped to this tree once, at the edge, in
``chatdev.models``::

    ModelError
    ├── EndpointError        whoever runs the server or its settings must act; asking again will not help
    │   ├── Unreachable      nothing answered at the address
    │   ├── NotAModelServer  something answered that is not an OpenAI-compatible server
    │   ├── KeyRefused       401 or 403
    │   ├── ModelNotServed   the named model is not among those served
    │   ├── PromptCut        the server answered, but to a prompt that it had cut in silence
    │   └── RequestRefused   any other 4xx, with the server's own words
    ├── WindowTooSmall       the conversation does not fit the context window
    ├── CostLimit            the call could cost more than the user allows
    └── ServerFault          passing trouble: asking again may help
        ├── Overloaded       429 or 503
        ├── Stalled          no first token, or no next one, within the deadline
        ├── CutShort         the stream ended without a finish reason, or broke
        └── ServerBroke      5xx, an error object inside a stream, an unreadable answer
"""

from chatdev.errors import ChatDevError


class ModelError(ChatDevError):
    """A call that brought no answer. ``sent``: the requests that were sent for it, 2 where the first connection was
    stale."""

    sent = 1


class EndpointError(ModelError):
    """The endpoint or its settings are wrong; a person must change something. Exit status 2."""

    exit_status = 2


class Unreachable(EndpointError):
    """Nothing answered at the address."""


class NotAModelServer(EndpointError):
    """Something answered, but it does not speak the protocol."""


class KeyRefused(EndpointError):
    """The server wants a key, or another one."""


class ModelNotServed(EndpointError):
    """The named model is not served here; the message lists those that are."""


class PromptCut(EndpointError):
    """The server cut the prompt without a word, and answered what was left of it; that answer is not used."""


class RequestRefused(EndpointError):
    """The server refused the request for a reason of its own, which the message quotes."""


class WindowTooSmall(ModelError):
    """The conversation does not fit; the message holds the arithmetic in tokens. Exit status 2."""

    exit_status = 2


class CostLimit(ModelError):
    """The call was not made, since it could cost more than is left of what the user allows. Exit status 2.

    ``spent`` of ``limit``, in US dollars; ``limit`` is None where it is the price that is not known.
    """

    exit_status = 2
    limit: float | None = None
    spent: float = 0.0


class ServerFault(ModelError):
    """Passing trouble on the server's side. ``retry_after``: seconds that the server wants to be left alone."""

    retry_after: float | None = None


class Overloaded(ServerFault):
    """The server has too much to do (429, 503)."""


class Stalled(ServerFault):
    """A deadline passed without a token."""


class CutShort(ServerFault):
    """The answer broke off: no finish reason ever came."""


class ServerBroke(ServerFault):
    """The server failed while answering (5xx, an error inside a stream, an unreadable body)."""
