"""What can go wrong between ChatDev and a model server, by who must act.

Other errors (sockets, HTTP status codes, broken JSON) are mapped to this tree once, in ``chatdev.models``::

    ModelError
    ├── EndpointError        a person must fix the server or the settings; a retry will not help
    │   ├── Unreachable      nothing answered at the address
    │   ├── NotAModelServer  something answered that is not an OpenAI-compatible server
    │   ├── KeyRefused       401 or 403
    │   ├── ModelNotServed   the named model is not among those served
    │   ├── PromptCut        the server answered, but had silently truncated the prompt
    │   ├── RequestTooLarge  413: a proxy limits the size of requests
    │   └── RequestRefused   any other 4xx, with the server's own message
    ├── WindowTooSmall       the conversation does not fit the context window
    ├── ContentFiltered      the provider's filter withheld the answer, or refused the prompt
    ├── CostLimit            the call could cost more than the user allows
    └── ServerFault          a temporary fault: a retry may help
        ├── Overloaded       429 or 503
        ├── Stalled          no first token, or no next one, within the deadline
        ├── CutShort         the stream ended without a finish reason, or broke
        └── ServerBroke      5xx, an error inside an answer, an unreadable answer
            └── Disconnected     the connection was closed before any answer
"""

from chatdev.errors import ChatDevError


class ModelError(ChatDevError):
    """A call that got no answer."""


class EndpointError(ModelError):
    """The endpoint or its settings are wrong; a person must change something. Exit status 2."""

    exit_status = 2


class Unreachable(EndpointError):
    """Nothing answered at the address. ``refused``: the machine is there, but nothing listens at the port."""

    refused = False


class NotAModelServer(EndpointError):
    """Something answered, but it does not speak the protocol."""


class KeyRefused(EndpointError):
    """The server requires a key, or rejected this one."""


class ModelNotServed(EndpointError):
    """The named model is not served here; the message lists those that are."""


class PromptCut(EndpointError):
    """The server silently truncated the prompt and answered the rest; that answer is not used."""


class RequestTooLarge(EndpointError):
    """The request is larger than the server, or a proxy before it, accepts (413)."""


class RequestRefused(EndpointError):
    """The server refused the request; the message quotes its reason."""


class WindowTooSmall(ModelError):
    """The conversation does not fit; the message holds the arithmetic in tokens. Exit status 2."""

    exit_status = 2


class ContentFiltered(ModelError):
    """The provider's content filter withheld the answer or refused the prompt. Exit status 2."""

    exit_status = 2


class CostLimit(ModelError):
    """The call was not made, since it could exceed the user's cost limit. Exit status 2.

    ``spent`` of ``limit``, in US dollars; ``limit`` is None if the price is not known.
    """

    exit_status = 2
    limit: float | None = None
    spent: float = 0.0


class ServerFault(ModelError):
    """A temporary fault of the server. ``retry_after``: seconds that the server wants us to wait."""

    retry_after: float | None = None


class Overloaded(ServerFault):
    """The server is overloaded or limits the rate (429, 503)."""


class Loading(Overloaded):
    """The server is still loading its model (503 of llama.cpp)."""


class Stalled(ServerFault):
    """A deadline passed without a token."""


class CutShort(ServerFault):
    """The answer ended without a finish reason."""


class ServerBroke(ServerFault):
    """The server failed while answering (5xx, an error inside a stream, an unreadable body)."""


class Disconnected(ServerBroke):
    """The connection was closed before any answer: usually a pooled one that the server had already closed."""
