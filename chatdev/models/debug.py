"""What ``VLLM_DEBUG=1`` prints of requests and answers: text for a person. The caller masks the keys.

``>`` marks a request, ``<`` an answer, ``!`` a failure, ``~`` a retry.
"""

from collections.abc import Iterable

from chatdev.models.refusals import Refusal
from chatdev.models.stream import ServerAnswer


def sent(url: str, request_id: str, headers: Iterable[str], body: str) -> str:
    """A request: its URL, its id, the names of the headers that are set, and its body."""
    return f"> POST {url}\n  {_named(request_id)}; headers set: {', '.join(headers) or 'none'}\n{body}"


def came(
    url: str, request_id: str, status: int, server_id: str, first_token: float | None, seconds: float, what: object
) -> str:
    """A whole answer, or a refusal. ``server_id`` is the ``X-Request-Id`` of the response; times in seconds."""
    lines = [f"< HTTP {status} from {url}", f"  {_named(request_id)}"]
    if server_id:
        lines[-1] += f"; the server's X-Request-Id: {server_id}"
    first = "" if first_token is None else f"first token after {first_token:.3f} s, "
    lines.append(f"  {first}complete after {seconds:.3f} s")
    if isinstance(what, ServerAnswer):
        lines += _answer(what)
    elif isinstance(what, Refusal):
        again = "" if what.retry_after is None else f", Retry-After {what.retry_after:g} s"
        lines += [f"  refused with {what.status}{again}", what.message]
    return "\n".join(lines)


def _answer(answer: ServerAnswer) -> list[str]:
    usage = answer.usage
    tokens = f"tokens not counted by the server, {answer.pieces} chunks"
    if usage:
        cached = "" if usage.cached_tokens is None else f" ({usage.cached_tokens} of them cached)"
        thought = f" ({usage.reasoning_tokens} of them reasoning)" if usage.reasoning_tokens else ""
        tokens = f"{usage.prompt_tokens} prompt{cached} + {usage.completion_tokens} completion tokens{thought}"
    lines = [
        f"  answer {answer.id or 'without an id'} of {answer.model or 'a model without a name'}, "
        f"finish reason {answer.finish_reason or 'none'}, {tokens}"
    ]
    if answer.reasoning:
        lines += ["--- reasoning", answer.reasoning]
    return [*lines, "--- text", answer.text]


def failed(url: str, request_id: str, seconds: float, error: Exception) -> str:
    """A request without a whole answer."""
    return f"! {url} failed after {seconds:.3f} s\n  {_named(request_id)}\n{type(error).__name__}: {error}"


def _named(request_id: str) -> str:
    return f"request {request_id or 'without an id'}"
