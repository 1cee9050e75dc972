"""The table of servers: each rule in it is read, and a new section is enough for a new server."""

import re

import msgspec
import pytest

from chatdev.models import constraints, dialects, metrics, refusals
from chatdev.models.dialects import Dialect, Dialects

RULES = dialects.load()
PATTERNS = (
    "overflow",
    "window_in_refusal",
    "prompt_in_refusal",
    "no_such_model",
    "key_refused",
    "loading",
    "out_of_memory",
)
SECTION = """
[new]
name = "New"
owners = ["newco"]
ports = [8000, 9999]
version_pages = [{ path = "/about", field = "release" }]
window_fields = ["ctx"]
window_pages = ["/about"]
window_option = "--ctx"
choices = "grammar"
thinking_off = { muse = false }
finish = { Done = "stop" }
overflow = ["way too much text"]
window_in_refusal = ['room for (\\d+)']
metrics = { running = ["new_running"] }
"""


@pytest.mark.parametrize("server", RULES.servers)
def test_every_pattern_compiles_and_a_pattern_for_numbers_has_one_group(server: str) -> None:
    for key in PATTERNS:
        for pattern in getattr(RULES.servers[server], key):
            assert re.compile(pattern).groups == 1 or not key.endswith("_in_refusal")


@pytest.mark.parametrize("server", RULES.servers)
def test_every_section_names_only_what_the_other_modules_know(server: str) -> None:
    dialect = RULES.servers[server]
    assert dialect.choices in ("", *constraints.KINDS)
    assert set(dialect.metrics) <= {*metrics.Load.__struct_fields__, "prefix_misses"} - {"engine"}
    assert all(owner == owner.lower() for owner in dialect.owners)


def test_an_unknown_key_in_the_table_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.toml.decode(b'[x]\nname = "X"\ncolour = "red"', type=dict[str, Dialect])


def test_a_section_is_all_that_a_new_server_needs() -> None:
    rules = Dialects(RULES.servers | msgspec.toml.decode(SECTION, type=dict[str, Dialect]))
    assert rules.ports[-1] == 9999 and rules.ports.count(8000) == 1
    assert rules.window_fields[-1] == "ctx" and "/about" in rules.window_pages
    assert [name for name, _ in rules.version_pages][-2:] == ["New", "vLLM"]
    assert rules.of_owner("NewCo") == rules.servers["new"] and rules.of_owner("") is None
    assert rules.options("window_option").endswith("New: --ctx")
    assert {"muse": False} in rules.thinking_off and rules.finish["done"] == "stop"
    refusal = "That is way too much text."
    assert rules.matches("overflow", refusal) and not RULES.matches("overflow", refusal)
    assert rules.number("window_in_refusal", "There is room for 512.") == 512


@pytest.mark.parametrize(
    ("message", "window", "prompt"),
    [
        (
            "This model's maximum context length is 4097 tokens. However, you requested 4137 tokens (137 in the "
            "messages, 4000 in the completion).",
            4097,
            137,
        ),
        ("`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1900 `inputs` tokens and 400", 2048, 1900),
        ("the request (9000 tokens) exceeds the available context size (8192 tokens)", 8192, 9000),
        ("max_tokens=4096 cannot be greater than max_model_len=2048", 2048, None),
    ],
)
def test_refusals_of_several_servers_name_the_window_and_the_prompt(
    message: str, window: int, prompt: int | None
) -> None:
    refusal = refusals.read(400, msgspec.json.encode({"error": {"message": message}}))
    assert (refusal.overflow, refusal.window, refusal.prompt) == (True, window, prompt)
