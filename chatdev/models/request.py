"""The body of a request, and how it is adapted to a server that refuses it.

An adaptation is a short text, such as ``without top_p``. It stays in force for the endpoint and is listed in the
receipt. The adaptations form a set, so concurrent calls can add to it independently.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chatdev.models import constraints, cures
from chatdev.models.refusals import Refusal
from chatdev.models.stream import split_reasoning
from chatdev.models.types import Message, Options, Role

Adaptations = frozenset[str]

WITHOUT = "without "
UNSTREAMED = "unstreamed"
COMPLETION_TOKENS = "max_completion_tokens for max_tokens"
MERGED = "same-role messages merged"
FOLDED = "system joined to the first user message"

LIMITS = ("max_tokens", "max_completion_tokens")
REQUIRED = ("model", "messages")
"""Fields that are in every request, whatever a server or a user says."""

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_NEUTRAL = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "user": ""}
"""Fields that ChatDev 1.0 sends with every call without any effect; not every server knows them."""


def messages_from(dicts: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """A conversation in OpenAI's form as values. Content in parts becomes one text; reasoning is removed from the
    assistant's messages. Raises ValueError for an unknown role."""
    return tuple(_message(entry) for entry in dicts)


def _message(entry: Mapping[str, Any]) -> Message:
    role = _ROLES.get(str(entry.get("role")))
    if role is None:
        raise ValueError(f"unknown message role {entry.get('role')!r}; use one of {', '.join(_ROLES)}")
    content = entry.get("content") or ""
    if not isinstance(content, str):
        content = "".join(str(part.get("text", "")) for part in content)
    content = content.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be sent
    return Message(role, split_reasoning(content)[1] if role == "assistant" else content)


_OURS = ("extra", "early")


def options_from(*configs: Mapping[str, Any]) -> Options:
    """Options from ``run``'s keywords under OpenAI's names; later ``configs`` override earlier ones. Values that are
    None or have no effect are left out; unknown names go to the server unchanged. A wrong type raises ValueError."""
    merged: dict[str, Any] = {}
    for config in configs:
        merged |= {name: value for name, value in config.items() if value is not None and _NEUTRAL.get(name) != value}
    if "max_completion_tokens" in merged:
        merged["max_tokens"] = merged.pop("max_completion_tokens")
    if isinstance(merged.get("stop"), str):
        merged["stop"] = (merged["stop"],)
    named = {name: merged.pop(name) for name in Options.__struct_fields__ if name in merged and name not in _OURS}
    try:
        options = msgspec.convert(named, Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"invalid model call options: {error}") from None
    extra = merged.pop("extra", {})
    return msgspec.structs.replace(options, extra=merged | extra)


def shaped(messages: Sequence[Message], adaptations: Adaptations) -> list[Message]:
    """The messages as a strict chat template requires them: no system role, no two neighbours of the same role."""
    folded = FOLDED in adaptations
    shaped: list[Message] = []
    for message in messages:
        role: Role = "user" if folded and message.role == "system" else message.role
        if shaped and shaped[-1].role == role and (folded or MERGED in adaptations):
            shaped[-1] = Message(role, f"{shaped[-1].content}\n\n{message.content}")
        else:
            shaped.append(Message(role, message.content))
    return shaped


def body(
    model: str,
    messages: Sequence[Message],
    options: Options,
    max_tokens: int,
    adaptations: Adaptations,
    constraint: str = "response_format",
    thinking_off: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """The JSON object for ``POST /chat/completions``, with the endpoint's adaptations applied.

    ``constraint`` is the kind of constraint for choices; ``thinking_off`` is added if ``options`` switch thinking off.
    """
    streamed = options.stream and UNSTREAMED not in adaptations
    limit = "max_completion_tokens" if COMPLETION_TOKENS in adaptations else "max_tokens"
    fields: dict[str, Any] = {
        "model": model,
        "messages": shaped(messages, adaptations),
        "temperature": options.temperature,
        "top_p": options.top_p,
        limit: max_tokens,
        "stream": streamed,
    }
    if streamed:
        fields["stream_options"] = {"include_usage": True}
    if options.stop:
        fields["stop"] = options.stop
    if options.seed is not None:
        fields["seed"] = options.seed
    if options.choices:
        fields |= constraints.fields(constraint, options.choices)
    fields |= {name: value for name, value in options.extra.items() if name not in REQUIRED}
    if options.thinking is False:
        fields |= _joined(thinking_off, options.extra)
    without = {adaptation.removeprefix(WITHOUT) for adaptation in adaptations if adaptation.startswith(WITHOUT)}
    fields = {name: value for name, value in fields.items() if name in REQUIRED or name not in without}
    return cures.applied(fields, adaptations) if adaptations else fields


def limit_in(body: Mapping[str, Any], otherwise: int) -> int:
    """The limit on the answer's tokens in a request's body."""
    return next((body[name] for name in LIMITS if name in body), otherwise)


def _joined(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Fields merged with ``extra`` inside the same objects: a template may have more than one argument."""
    return {
        name: {**extra[name], **value} if isinstance(value, Mapping) and isinstance(extra.get(name), Mapping) else value
        for name, value in fields.items()
    }


_STRICT_TEMPLATE = re.compile(
    r"alternat|system (role|message)s?\b.{0,30}(not|un)"
    r"|only (user|assistant).{0,40}roles?|roles?.{0,30}only (user|assistant)",
    re.IGNORECASE,
)


def adaptation(refusal: Refusal, sent: Mapping[str, Any], messages: Sequence[Message], made: Adaptations) -> str | None:
    """The next adaptation to try, or None if nothing would help. Each result is a new adaptation, so the retries
    end."""
    if _STRICT_TEMPLATE.search(refusal.message):
        for change in (MERGED, FOLDED):
            if change not in made and shaped(messages, made | {change}) != shaped(messages, made):
                return change
        return None
    if refusal.status not in (400, 422) or refusal.no_such_model:
        return None
    named = list(dict.fromkeys(_named(refusal, sent)))
    if needless := cures.needless_of(named, refusal.message):
        return WITHOUT + needless
    for field in named:
        cure = _cure(field, sent[field], refusal.message, made)
        if cure is not None and cure not in made:
            return cure
    return None


_BOUNDS = 3
"""How many bounds of one field are tried, before it is left out."""


def _cure(field: str, value: object, message: str, made: Adaptations) -> str | None:
    """The change of one field that a refusal names; None if there is none that could help."""
    name = "max_tokens" if field in LIMITS else field
    bound = cures.for_value(name, value, message)
    if bound is not None and bound not in made and cures.tried(name, made) < _BOUNDS:
        return bound
    if field in LIMITS:
        return COMPLETION_TOKENS if field == "max_tokens" and bound is None else None
    return UNSTREAMED if field == "stream" else WITHOUT + field


def _named(refusal: Refusal, sent: Mapping[str, Any]) -> Iterator[str]:
    """The optional fields of the request that the refusal names, most certain first."""
    optional = [field for field in sent if field not in REQUIRED and sent[field] is not False]
    yield from (field for field in optional if field == refusal.param)
    yield from (field for field in optional if _names(refusal.message, field))
    yield from (field for field in optional if field in LIMITS and cures.LIMIT_NAMES.search(refusal.message))


def _names(message: str, field: str) -> bool:
    """Whether a message is about a field. Many fields are plain words (``stop``, ``user``); these must be in quotes, or
    next to a word that marks them as a field."""
    name = re.escape(field) if "_" in field else f"{re.escape(field)}(?:ing)?"
    if "_" in field or field == "temperature":
        return re.search(rf"\b{name}\b", message, re.IGNORECASE) is not None
    return (
        re.search(
            rf"['\"`]{name}['\"`]|\b(?:param\w*|field|argument|key|option|value)s?\W+{name}\b"
            rf"|\b{name}\b\W+(?:is|are|not|param\w*|must|should|unsupported)\b",
            message,
            re.IGNORECASE,
        )
        is not None
    )
