"""Whether a key can be what it is set as: placeholders, and keys that people set for servers without one."""

import re

_PLACEHOLDER = re.compile(
    r"(sk-)?(your|insert|enter|put|add|paste|replace|change|place|example|todo|xxx|\.\.\.|\*\*\*)[\w .*-]*|<.*>"
    r"|(sk-)?x+|none|null|(my[-_ ]?)?(openai[-_ ]?)?(api[-_ ]?)?key([-_ ]here)?",
    re.IGNORECASE,
)
_OF_LOCAL_SERVERS = re.compile(
    r"sk-(no[-_]?key[-_]?(required|needed)?|none|empty|dummy|fake|local(host)?|test|1234|0+|anything"
    r"|ollama|lm-?studio|vllm|litellm)",
    re.IGNORECASE,
)
OF_OPENAI = "sk-"
"""How every key of OpenAI begins, those of projects and service accounts too."""


def is_placeholder(key: str) -> bool:
    """Whether a key is a placeholder that was never replaced, such as ``your_openai_api_key_here``."""
    return bool(key) and _PLACEHOLDER.fullmatch(key) is not None


def may_be_of_openai(key: str) -> bool:
    """Whether OpenAI could have issued a key: not ``EMPTY``, ``not-needed``, ``-`` or ``sk-no-key-required``.

    People set such words, and keys of other services, because a program for OpenAI's protocol insists on a key.
    """
    return key.startswith(OF_OPENAI) and _OF_LOCAL_SERVERS.fullmatch(key) is None
