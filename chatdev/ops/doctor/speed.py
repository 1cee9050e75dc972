"""How fast the endpoint is: to the first token, between tokens, with a prompt it has seen, and with many at once."""

import asyncio
import secrets
import time

import msgspec

from chatdev.models import metrics
from chatdev.models.errors import ModelError
from chatdev.models.stream import Answer
from chatdev.models.transport import Reply
from chatdev.ops.doctor.answers import PROSE
from chatdev.ops.doctor.findings import Finding
from chatdev.ops.doctor.subject import Subject

TALE = "Tell a tale of a programmer and a tester, in five sentences."
LONG = 4_000
"""Characters of a prompt that a prefix cache notices: some 1,000 tokens, in blocks of 16 to 128."""

LEVELS = (2, 4, 8, 16, 32)
NOISE = 0.05
"""Seconds of waiting that say nothing of a queue."""

PATIENCE = 20.0
"""Seconds for one level of calls: a slow machine is not kept busy for minutes."""


async def latency(subject: Subject) -> Finding:
    """Time to first token, and between tokens, of one answer when nothing else is asked."""
    try:
        answer, reply = await subject.ask("latency", TALE, max_tokens=64)
    except ModelError as error:
        return Finding("latency", "bad", error.what, error.do)
    if reply.first_token is None or answer.pieces < 2:
        seen = f"An answer came in one piece after {reply.seconds:.2f} s: too short, or not streamed."
        return Finding("latency", "not known", seen)
    tokens = _tokens(answer)
    between = (reply.seconds - reply.first_token) / max(tokens - 1, 1)
    rate = f", {1 / between:.0f} tokens/s" if between > 0 else ""
    seen = f"First token after {reply.first_token:.2f} s, then one every {1000 * between:.1f} ms{rate}."
    if between > 0.2:
        return Finding(
            "latency", "warning", f"{seen} A small project of 15,000 tokens takes {15_000 * between / 3600:.1f} hours.",
            "Take a smaller or a quantised model, or see with nvidia-smi whether the GPU is used at all.",
        )  # fmt: skip
    return Finding("latency", "good", seen)


def _tokens(answer: Answer) -> int:
    return answer.usage.completion_tokens if answer.usage and answer.usage.completion_tokens else answer.pieces


async def prefix_cache(subject: Subject) -> Finding:
    """Whether a long prompt that was sent before is read again, or taken from the cache."""
    window = subject.facts.window or 8_192
    length = min(LONG, window)  # at a token or less for a character, it fits beside the answer
    text = f"Note {secrets.token_hex(8)}. " + (PROSE * (1 + LONG // len(PROSE)))[: max(length - 64, 100)]
    try:
        _, cold = await subject.ask("cache", text, max_tokens=2)
        before = await metrics.read(subject.line)
        again, warm = await subject.ask("cache", text, max_tokens=2)
    except ModelError as error:
        return Finding("prefix cache", "warning", f"Not tried: {error.what}", error.do)
    prompt = again.usage.prompt_tokens if again.usage else 0
    cached = again.usage.cached_tokens if again.usage else None
    times = f"first token after {_first(cold):.2f} s, then {_first(warm):.2f} s"
    if cached:
        return Finding(
            "prefix cache", "good", f"{cached:,} of {prompt:,} prompt tokens came from it the second time; {times}."
        )
    share = metrics.prefix_share(before, await metrics.read(subject.line))
    if cached is None and share:
        return Finding(
            "prefix cache",
            "good",
            f"{100 * share:.0f} % of the prompt came from it the second time, as the server's metrics count; {times}.",
            "To have it for each call: vLLM: --enable-prompt-tokens-details.",
        )
    if _first(warm) < 0.5 * _first(cold) and _first(cold) > 0.05:
        return Finding(
            "prefix cache",
            "good",
            f"By its speed, the prompt was not read again ({times}); cached tokens are not told.",
            "To have them in the report: vLLM: --enable-prompt-tokens-details.",
        )
    how = "The server says that none came from it" if cached == 0 else "Cached tokens are not told, and no faster"
    return Finding(
        "prefix cache",
        "warning",
        f"{how}: {times}.",
        "Switch it on (vLLM: --enable-prefix-caching, and --enable-prompt-tokens-details to see it; SGLang and "
        "llama.cpp have it on): most of a run's prompts begin alike.",
    )


def _first(reply: Reply) -> float:
    return reply.seconds if reply.first_token is None else reply.first_token


async def in_flight(subject: Subject) -> Finding:
    """How many calls at once the server works on, before one waits for another's end or nothing is gained."""
    best, rates, stopped = 1, [], ""
    alone = await _level(subject, 1)
    if alone is None:
        return Finding("in flight", "warning", "Not measured: a short call did not end in time.")
    rates.append(f"1: {alone.rate:.0f}")
    top = alone.rate
    for level in LEVELS:
        measured = await _level(subject, level)
        if measured is None:
            stopped = f"at {level} some calls failed, or took longer than {PATIENCE:.0f} s"
            break
        rates.append(f"{level}: {measured.rate:.0f}")
        if measured.first > max(0.8 * measured.seconds, alone.first + NOISE):  # as long as another call took
            stopped = f"at {level} some waited for others to end"
            break
        if measured.rate < 1.1 * top:
            stopped = f"{level} gain nothing"
            break
        best, top = level, measured.rate
    subject.profile = msgspec.structs.replace(subject.profile, in_flight=best)
    load = await metrics.read(subject.line)
    now = f" Now: {told}." if load and (told := load.text()) else ""
    seen = f"{best} at once{f'; {stopped}' if stopped else ''}. Tokens/s by calls in flight: {', '.join(rates)}.{now}"
    if best == 1:
        return Finding(
            "in flight",
            "warning",
            seen,
            "Let the server answer several at once (vLLM: --max-num-seqs, llama.cpp: --parallel, Ollama: "
            "OLLAMA_NUM_PARALLEL): a company talks in parallel, and projects run side by side.",
        )
    return Finding("in flight", "good", seen)


class _Measured(msgspec.Struct, frozen=True):
    """One level: tokens a second over all calls, the latest first token, and the shortest call, in seconds."""

    rate: float
    first: float
    seconds: float


async def _level(subject: Subject, calls: int) -> _Measured | None:
    """So many calls at once; None if one of them failed or the time was up."""
    began = time.monotonic()
    asked = [
        subject.ask("flight", f"{number}. {TALE}", max_tokens=32, temperature=0.8) for number in range(1, calls + 1)
    ]
    try:
        async with asyncio.timeout(PATIENCE):
            answered = await asyncio.gather(*asked)
    except (ModelError, TimeoutError):
        return None
    seconds = time.monotonic() - began
    tokens = sum(_tokens(answer) for answer, _ in answered)
    return _Measured(
        rate=tokens / max(seconds, 1e-6),
        first=max(_first(reply) for _, reply in answered),
        seconds=min(reply.seconds for _, reply in answered),
    )
