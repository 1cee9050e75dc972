"""The first checks: whether a model server answers, its engine, and what it serves."""

from collections.abc import Iterator

from chatdev.models import dialects, errors
from chatdev.models.address import Address
from chatdev.models.endpoint import Facts
from chatdev.models.fitting import SHARE
from chatdev.ops.doctor.findings import Finding

SMALLEST, COMFORTABLE = 2_816, 8_192
"""Windows in tokens: the smallest in which the recorded calculator still passes, with cuts (docs/windows.md), and one
in which a product of a few hundred lines needs no cuts."""

TOKENS_PER_LINE = 10
"""For a line of code, roughly: 40 characters at four characters a token."""


def closed(address: Address, error: errors.ModelError, holder: str) -> Iterator[Finding]:
    """Findings for a server that did not report its facts: the checks that passed, and the one that failed.

    ``holder`` is the program that listens there, if that can be seen.
    """
    order = ("listens", "protocol", "key", "models")
    failed = {
        errors.Unreachable: "listens",
        errors.NotAModelServer: "protocol",
        errors.KeyRefused: "key",
        errors.ModelNotServed: "models",
    }
    check = next((name for kind, name in failed.items() if isinstance(error, kind)), "protocol")
    good = {
        "listens": f"Something answers at {address.base_url}.",
        "protocol": "It speaks HTTP.",
        "key": "Access is granted.",
    }
    for earlier in order[: order.index(check)]:
        yield Finding(earlier, "good", good[earlier])
    seen = f"{error.what} The port is held by {holder}." if holder else error.what
    yield Finding(check, "bad", seen, error.do)


def opened(address: Address, facts: Facts, engine: str, version: str) -> Iterator[Finding]:
    """Findings for a server that reported its facts."""
    yield Finding("listens", "good", f"Something answers at {address.base_url}.")
    yield Finding("protocol", "good", "It is an OpenAI-compatible model server.")
    yield Finding("key", "good", f"{address.key_name} is accepted." if address.key else "No key is needed.")
    if engine:
        yield Finding("engine", "good", f"{engine} {version}".strip() + ".")
    else:
        yield Finding("engine", "not known", "The server does not identify itself. Nothing depends on this.")
    yield Finding("models", "good", _models(facts))
    yield _window(facts)
    if facts.ends:
        yield Finding("shutdown", "warning", facts.ends, address.how_to_name)


def _models(facts: Facts) -> str:
    shown = ", ".join(facts.served[:8]) + (", …" if len(facts.served) > 8 else "")
    return f"{len(facts.served)} served: {shown}. A run would use {facts.model}."


def _window(facts: Facts) -> Finding:
    window = facts.window
    if window is None:
        return Finding(
            "context window", "good", "The provider does not report it, and rejects requests that do not fit."
        )
    lines = window // SHARE // TOKENS_PER_LINE
    room = (
        f"{window:,} tokens: up to {window // SHARE:,} for an answer (about {lines:,} lines of code), and twice that "
        "for the task, the conversation and the code."
    )
    larger = f"Serve the model with a larger window ({dialects.load().options('window_option')})"
    if facts.assumed:
        return Finding(
            "context window",
            "warning",
            f"The server does not report it; {window:,} tokens are assumed.",
            "If that is wrong, set it in chatdev.toml, for example: window = 16384",
        )
    if window < SMALLEST:
        return Finding(
            "context window", "bad", f"{room} No product has been built in less than {SMALLEST:,}.", larger + "."
        )
    if window < COMFORTABLE:
        return Finding(
            "context window",
            "warning",
            room,
            f"{larger}: {COMFORTABLE:,} or more for products of more than one small file.",
        )
    return Finding("context window", "good", room)
