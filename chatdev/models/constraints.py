"""How servers constrain an answer to one of several texts, and how to check whether they did.

Each server expects a different field, and most ignore fields that they do not know, so a kind must be tried before it
is used: ``chatdev doctor`` does. vLLM 0.32: ``structured_outputs`` and ``response_format``; vLLM before 0.12:
``guided_choice``; llama.cpp: ``response_format`` and ``grammar``; SGLang: ``response_format``, ``regex`` and ``ebnf``;
TGI: ``response_format`` with its own type; OpenAI, Ollama, LM Studio: ``response_format``.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from chatdev.models import dialects

KINDS = ("structured_outputs", "response_format", "grammar", "guided_choice", "regex", "ebnf", "response_format json")
"""By name, best first: bare texts before JSON, where a weak model can write white space up to its limit."""

NONE = ""
"""The kind of a server that supports no constraint."""


def usual(engine: str) -> str:
    """The kind to use if none has been tried; ``engine`` as the model list names it."""
    dialect = dialects.load().of_owner(engine)
    return dialect.choices if dialect and dialect.choices else "response_format"


def fields(kind: str, choices: Sequence[str]) -> dict[str, Any]:
    """The request fields that constrain the answer to ``choices``, by one of KINDS; none for NONE."""
    match kind:
        case "structured_outputs":
            return {"structured_outputs": {"choice": list(choices)}}
        case "response_format":
            named = {"name": "choice", "schema": _schema(choices), "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "response_format json":
            return {"response_format": {"type": "json", "value": _schema(choices)}}
        case "grammar" | "ebnf":
            alternatives = " | ".join(msgspec.json.encode(choice).decode() for choice in choices)
            return {kind: f"root ::= {alternatives}"}
        case "guided_choice":
            return {"guided_choice": list(choices)}
        case "regex":
            return {"regex": f"({'|'.join(map(re.escape, choices))})"}
    return {}


def _schema(choices: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": list(choices)}},
        "required": ["choice"],
        "additionalProperties": False,
    }


def kept(text: str, choices: Sequence[str]) -> bool:
    """Whether an answer is one of ``choices``, bare or as ``{"choice": …}``, and nothing else."""
    if text.strip() in choices:
        return True
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return isinstance(value, dict) and value.get("choice") in choices
