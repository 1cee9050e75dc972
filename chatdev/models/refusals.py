"""Refusals of servers, in all their forms, and the errors that follow from them.

The forms, taken from real servers: ``{"error": {"message", "type", "param", "code"}}`` (OpenAI, vLLM, llama.cpp),
``{"error": "Unauthorized"}`` (vLLM's 401), ``{"detail": …}`` as a text or a list of ``loc`` and ``msg`` (FastAPI),
``{"object": "error", "message": …}`` (older vLLM), plain text, and HTML from something that is not a model server.
"""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from chatdev.models import dialects, errors
from chatdev.models.address import Address

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a body that is not JSON, not UTF-8, or nested too deeply."""

LONGEST = 600
"""Characters of a server's message that an error message quotes."""


class Refusal(msgspec.Struct, frozen=True):
    """A refused request. ``status`` is HTTP's, or the code of an error object inside a stream.

    ``window`` and ``prompt`` are tokens, if the server named them; ``overflow``: the conversation and its answer did
    not fit. ``retry_after`` is in seconds. ``within_answer``: the request was accepted, and the error is in its answer;
    ``status`` is then what that error stands for.
    """

    status: int
    message: str
    param: str = ""
    code: str = ""
    html: bool = False
    overflow: bool = False
    window: int | None = None
    prompt: int | None = None
    retry_after: float | None = None
    within_answer: bool = False

    @property
    def no_such_model(self) -> bool:
        """Whether the server refused the model's name."""
        named = self.param == "model" or self.code == "model_not_found"
        return self.status in (400, 404, 422) and (named or dialects.load().matches("no_such_model", self.message))


def read(status: int, body: bytes, retry_after: str = "", *, within_answer: bool = False) -> Refusal:
    """The refusal in an HTTP response's status and body, or in an error event's code and data."""
    fields = _unwrapped(body)
    message = re.sub(r"\s+", " ", words(fields.get("message") or fields.get("msg"))).strip()
    kind, param, code = (words(fields.get(name)) for name in ("type", "param", "code"))
    rules = dialects.load()
    window, prompt = fields.get("n_ctx"), fields.get("n_prompt_tokens")  # llama.cpp
    return Refusal(
        status=status,
        message=message[:LONGEST],
        param=param,
        code=code,
        html=body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<",
        overflow=400 <= status < 500 and rules.matches("overflow", f"{message} {kind} {param} {code}"),
        window=window if isinstance(window, int) else rules.number("window_in_refusal", message),
        prompt=prompt if isinstance(prompt, int) else rules.number("prompt_in_refusal", message),
        retry_after=_seconds(retry_after),
        within_answer=within_answer,
    )


def _seconds(retry_after: str) -> float | None:
    """The seconds of a ``Retry-After`` header, a number or a date (RFC 9110, section 10.2.3); None if it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def words(value: object) -> str:
    """A value from a server as text; empty if there is none, or if it is nested too deeply."""
    try:
        return str(value) if value else ""
    except RecursionError:
        return ""


def _unwrapped(body: bytes) -> dict[str, Any]:
    """The innermost object that holds the message, whatever it is wrapped in."""
    try:
        value: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return {"message": body.decode("utf-8", "replace")}
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("error") or value.get("detail") or value
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {"message": value}
    place = value.get("loc")
    if isinstance(place, list | tuple) and place and not value.get("param"):
        value["param"] = place[-1]
    return value


def error(refusal: Refusal, address: Address, model: str = "", served: tuple[str, ...] = ()) -> errors.ModelError:
    """The error of our tree for a refusal that no adaptation can solve."""
    url = address.base_url
    status = f"HTTP status {refusal.status}"
    words = _page(refusal) if refusal.html else address.masked(refusal.message).rstrip(".") or status
    if refused := _by_something_before(refusal, url, words):
        return refused
    if refusal.status in (401, 403) or dialects.load().matches("key_refused", refusal.message):
        if address.key is None:
            return errors.KeyRefused(f"The server at {url} needs an API key: {words}.", do=f"Set {address.key_name}.")
        return errors.KeyRefused(
            f"The server at {url} rejected the API key: {words}.", do=f"Correct {address.key_name}."
        )
    if refusal.code == "content_filter":
        return content_filtered(address, words)
    if refusal.no_such_model:
        return not_served(address, model, served)
    foreign = refusal.html and refusal.status not in (408, 429)
    if refusal.status < 500 and (foreign or refusal.status < 400 or refusal.status == 404):
        return not_a_model_server(address, status if refusal.status == 404 and not refusal.html else words)
    rules = dialects.load()
    memory = _MORE_MEMORY.format(rules.options("window_option"), rules.options("slots_option"))
    lacks_memory = rules.matches("out_of_memory", refusal.message)
    if fault := _passing(refusal, url, words):
        fault.retry_after = refusal.retry_after
        fault.do = memory if lacks_memory else fault.do
        return fault
    return errors.RequestRefused(
        f"The server at {url} refused the request: {words}.",
        do=memory if lacks_memory else "Set VLLM_DEBUG=1 to see what was sent.",
    )


_TITLE = re.compile(r"<(title|h1)[^>]*>\s*(.*?)\s*</\1", re.IGNORECASE | re.DOTALL)


def _page(refusal: Refusal) -> str:
    """A web page in words: its status if it is an error's, and its title."""
    status = f" with HTTP status {refusal.status}" if refusal.status >= 400 and refusal.status != 404 else ""
    title = _TITLE.search(refusal.message)
    named = f' ("{" ".join(title[2].split())[:80]}")' if title and title[2] and status else ""
    return f"a web page{status}{named}"


def _by_something_before(refusal: Refusal, url: str, words: str) -> errors.EndpointError | None:
    """The error for a refusal by a firewall or proxy before the model server; None if it is the server's own."""
    if refusal.status == 403 and refusal.html:
        return errors.RequestRefused(
            f"A firewall or proxy before the server at {url} refused the request: {words}.",
            do="Ask its operator to let this machine through, or set the headers that it expects in chatdev.toml.",
        )
    if refusal.status == 413 and not refusal.overflow:
        return errors.RequestTooLarge(
            f"The request is too large for the server at {url}, or for a proxy before it (HTTP status 413): {words}.",
            do="Raise the limit on the size of requests there (nginx: client_max_body_size).",
        )
    return None


_MORE_MEMORY = (
    "It had not enough memory. Serve the model with a smaller window ({}), or with fewer calls at the same time ({})."
)


def _passing(refusal: Refusal, url: str, words: str) -> errors.ServerFault | None:
    """The error for a temporary refusal; None if it is not temporary."""
    if refusal.status == 503 and dialects.load().matches("loading", refusal.message):
        do = "Wait until it has loaded its model, then run the same command again."
        return errors.Loading(f"The server at {url} is not ready yet: {words}.", do=do)
    if refusal.status in (429, 503) and refusal.code != "insufficient_quota":
        return errors.Overloaded(f"The server at {url} is overloaded or limits the rate: {words}.")
    if refusal.status == 408:
        return errors.Stalled(f"The server at {url} timed out waiting for the request (HTTP status 408): {words}.")
    if refusal.status >= 500:
        how = "while it answered" if refusal.within_answer else f"(HTTP status {refusal.status})"
        return errors.ServerBroke(f"The server at {url} failed {how}: {words}.")
    return None


def not_served(address: Address, model: str, served: tuple[str, ...]) -> errors.ModelNotServed:
    """The error for a model that is not served; lists those that are, at most twenty."""
    listed = ", ".join(served[:20]) + (f" and {len(served) - 20} more" if len(served) > 20 else "")
    what = f'The model "{model}" is not served at {address.base_url}.'
    if not served:
        return errors.ModelNotServed(
            f"{what} The server lists no models.",
            do="Load a model on that server, or set VLLM_MODEL_NAME if the server never lists its models.",
        )
    return errors.ModelNotServed(f"{what} Served there: {listed}.", do=address.how_to_name)


def content_filtered(address: Address, words: str = "") -> errors.ContentFiltered:
    """The error for an answer that a content filter withheld; ``words`` are the server's own, if it gave any."""
    return errors.ContentFiltered(
        f"The content filter of the server at {address.base_url} withheld the answer{f': {words}' if words else ''}.",
        do="Word the task differently, or use an endpoint without such a filter.",
    )


def prompt_cut(address: Address, counted: int, expected: int) -> errors.PromptCut:
    """The error for an answer to a prompt of which the server read ``counted`` tokens of about ``expected``."""
    return errors.PromptCut(
        f"The server at {address.base_url} silently truncated the prompt: it read {counted} of about {expected} "
        "tokens. Its answer was discarded, since the model did not see the whole prompt.",
        do=f"Serve the model with a window of at least {1 << (expected + 4095).bit_length()} tokens "
        f"({dialects.load().options('window_option')}), or set its real size in chatdev.toml, for example: "
        f"window = {counted}",
    )


def no_list(address: Address, found: str) -> errors.NotAModelServer:
    """The error for a server that returned ``found`` in place of its models, if no model is named."""
    error = not_a_model_server(address, found)
    if found != "a web page":
        error.do = f"If it is a model server that lists no models, set {address.model_name} to the name of its model. "
        error.do += address.how_to_reach
    return error


def not_a_model_server(address: Address, found: str) -> errors.NotAModelServer:
    """The error for a server that answers with ``found`` instead of the protocol."""
    return errors.NotAModelServer(
        f"The server at {address.base_url} is not an OpenAI-compatible model server: it returned {found}.",
        do=address.how_to_reach,
    )
