"""The readers of what others wrote, on any bytes: what hypothesis thinks of, and what was found before."""

import pytest
from fuzz_targets import FILES, TARGETS, company, rows, stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PIECES = [
    *(
        b"data: ",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"[DONE]",
        b'{"choices":[{"delta":{"content":"x"}',
        b"}]}",
        b'"finish_reason":"stop"',
    ),
    *(
        b'{"error":{"message":"x","code":',
        b"}}",
        b"<html>",
        b"<think>",
        b"</think>",
        b'"\\ud83d"',
        b"\xff",
        b"1e999",
        b"NaN",
    ),
    *(
        b"+++\n",
        b"[[chain]]\n",
        b'phase = "Coding"\n',
        b"{{ task }}",
        b"{% if x %}",
        b"{% endif %}",
        b"{{",
        b"}}",
        b" = 1",
    ),
    *(
        b"[requests]\n",
        b'name = "x"\n',
        b'{"chain": [',
        b'"phase"',
        b"```",
        b"main.py",
        b"../",
        b"/",
        b".git",
        b"~",
        b"con",
    ),
    *(b"$ python3 main.py ", b"echo a | ", b"<<END\n", b"END\n", b"[exit 1]\n", b"# From the task\n", b"'"),
    *(b"Input: ", b"Output: ", b"reads ", b">>> f(1)\n", b"`f(2)` returns `3`", b'print "x"', b"01.5", b"9" * 5_000),
    *(b"requirements.txt\n", b"flask==1\n", b"-e .\n", b"<INFO> Finished", b"\x00", b"\x7f", b"\x80", b"\xed\xa0\x80"),
]
BYTES = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(min_size=1, max_size=1), BYTES)
def test_any_bytes_are_read_or_refused_in_words(name: str, first: bytes, rest: bytes) -> None:
    TARGETS[name](first + rest)


ANSWER = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],%s}\n\n'


@pytest.mark.parametrize(
    "body",
    [
        b"data: " + b"[" * 5_000 + b"\n\n",
        b'{"a":' * 5_000,
        ANSWER % b'"created":1e999',
        ANSWER % b'"created":NaN',
        ANSWER % (b'"id":' + b"[" * 900 + b"]" * 900),
        ANSWER % (b'"created":1' + b"0" * 5_000),
        'data: {"error":{"code":"²","message":"x"}}\n\n'.encode(),
        b'data: {"error":{"message":"context length ' + b"9" * 5_000 + b'"}}\n\n',
        b'data: {"error":{"code":500,"message":' + b"[" * 900 + b"]" * 900 + b"}}\n\n",
    ],
    ids=[
        "brackets",
        "objects",
        "infinite",
        "no number",
        "deep id",
        "long number",
        "a digit that is none",
        "window",
        "words",
    ],
)
def test_what_a_hostile_stream_broke_before(body: bytes) -> None:
    stream(b"\x10" + body)


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("company.toml", b"a = " + b"[" * 5_000),
        ("ChatChainConfig.json", b"[" * 5_000),
        ("background.md", b"{{ " + b"(" * 3_000),
        ("background.md", b"{{ 1 / 0 }}"),
        ("background.md", b"{{ fenced(1) }}"),
        ("background.md", b"{% for x in 5 %}{% endfor %}"),
        ("background.md", b"{% include 'x' %}"),
        ("background.md", b"{{ 10 ** 10 ** 8 }}"),
        ("background.md", b"{{ 'x' * 10000000000 }}"),
    ],
)
def test_what_a_broken_company_broke_before(file: str, body: bytes) -> None:
    company(bytes([FILES.index(file)]) + body)


@pytest.mark.parametrize(
    "given", ["01.5", "a 007.25", "٣.٥", "9" * 5_000, '"00.5"', "[" * 2_000, "[" * 400 + "]" * 400]
)
def test_what_an_example_of_a_task_broke_before(given: str) -> None:
    rows(f"It reads a line.\nInput: {given}\nOutput: x\n".encode())
