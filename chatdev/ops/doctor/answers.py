"""Checks of the endpoint's answers: chat, streaming, structured output, reasoning, token counts and seeds."""

import re
import time
from collections.abc import AsyncIterator

import msgspec

from chatdev.models import constraints, dialects, fitting
from chatdev.models.errors import CutShort, EndpointError, ModelError
from chatdev.models.fitting import TokenEstimator
from chatdev.models.stream import ServerAnswer
from chatdev.models.types import Message
from chatdev.ops.doctor.findings import Finding
from chatdev.ops.doctor.subject import SHORT, Subject

QUESTION = "Name the three primary colours."
ROOM = 512
"""Tokens for an answer, including the thinking before it."""

_MARKS = re.compile(
    r"<\|[a-z_]+\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|<｜[^>]{1,20}｜>|### (?:Human|Instruction)"
)
"""Marks that a chat template puts around turns. In an answer's text they show that it did not stop at its end."""

_NO_TEMPLATE = re.compile(r"chat.?template", re.IGNORECASE)


async def chat(subject: Subject) -> Finding:
    """Whether a chat request gets a complete answer, in words."""
    began = time.monotonic()
    try:
        answer, _ = await subject.ask("chat", QUESTION, max_tokens=ROOM, stream=False)
    except ModelError as error:
        if _NO_TEMPLATE.search(str(error)):
            return Finding(
                "chat",
                "bad",
                f"The model has no chat template, or a broken one: {error.what}",
                "Serve a chat model (…-Instruct), or give it a template (vLLM: --chat-template "
                "FILE, llama.cpp: --jinja --chat-template-file FILE).",
            )
        return Finding("chat", "bad", error.what, error.do or "See the server's log.")
    seconds = time.monotonic() - began
    text = answer.text.strip()
    if not text and answer.reasoning:
        return Finding(
            "chat",
            "bad",
            f"The answer was empty: all {len(answer.reasoning):,} characters were in the field {answer.field}, and the "
            f"finish reason was {answer.finish_reason}.",
            "Start the server with this model's reasoning parser or with none (vLLM: --reasoning-parser), or turn "
            "thinking off.",
        )
    if not text:
        return Finding("chat", "bad", "The answer was empty.", "See the server's log, or try another model.")
    if marks := sorted(set(_MARKS.findall(text))):
        return Finding(
            "chat",
            "bad",
            f"The answer runs past its end: it contains {', '.join(marks)}. The chat template does not fit this model.",
            "Serve the model with its own template, from the files of its -Instruct version.",
        )
    return Finding("chat", "good", f"Answered in {seconds:.1f} s: {_quoted(text)}")


def _quoted(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f'"{line[:60]}{"…" if len(line) > 60 else ""}"'


async def stream(subject: Subject) -> AsyncIterator[Finding]:
    """Whether an answer is streamed, with its finish reason, token counts and end mark."""
    try:
        answer, reply = await subject.ask("stream", QUESTION, max_tokens=ROOM)
    except CutShort as error:
        yield Finding(
            "streaming",
            "bad",
            error.what,
            "Something between here and the model closes the connection: check the server's log and the timeouts of "
            "any proxy.",
        )
        return
    except ModelError as error:
        yield Finding("streaming", "bad", error.what, error.do or "See the server's log.")
        return
    if not answer.streamed:
        yield Finding(
            "streaming",
            "warning",
            "The answer came in one piece although streaming was requested: a run shows no progress, and a stalled "
            "server is noticed late.",
            "Turn off response buffering between here and the server (nginx: proxy_buffering off).",
        )
    else:
        first = f", the first after {reply.first_token:.2f} s" if reply.first_token else ""
        yield Finding("streaming", "good", f"{answer.pieces} chunks{first}; finish reason {answer.finish_reason}.")
    yield _usage(answer)
    if answer.streamed and not answer.done:
        yield Finding(
            "end of stream",
            "warning",
            'The stream ended without "data: [DONE]"; the finish reason marks its end instead.',
            "No action is needed: answers are complete. Newer servers send it.",
        )


def _usage(answer: ServerAnswer) -> Finding:
    if answer.usage is None:
        return Finding(
            "usage",
            "bad",
            "The server does not count tokens: all counts are estimates, and a truncated prompt goes unnoticed.",
            "Use a server or version that supports stream_options.include_usage (vLLM, llama.cpp, SGLang and TGI do).",
        )
    usage = answer.usage
    return Finding(
        "usage", "good", f"{usage.prompt_tokens} prompt and {usage.completion_tokens} completion tokens reported."
    )


_CHOICES = ("ochre-17", "mauve-42")
"""Two answers that no model gives to the question by chance."""


async def structured(subject: Subject) -> Finding:
    """Which kinds of constraint limit an answer to the given choices. Runs will use the best one that works."""
    held: list[str] = []
    ignored: list[str] = []
    blank: list[str] = []
    refused: list[str] = []
    for kind in constraints.KINDS:
        try:
            answer, _ = await subject.ask(
                "choice", QUESTION, max_tokens=2 * SHORT, fields=constraints.fields(kind, _CHOICES), adapt=False
            )
        except EndpointError:
            refused.append(kind)
        except ModelError:
            refused.append(f"{kind} (no answer)")
        else:
            (held if constraints.kept(answer.text, _CHOICES) else blank if _blank(answer) else ignored).append(kind)
    subject.profile = msgspec.structs.replace(subject.profile, choices=held[0] if held else constraints.NONE)
    outcomes = "; ".join(
        f"{word}: {', '.join(kinds)}"
        for word, kinds in (
            ("enforced", held),
            ("enforced, but with endless white space", blank),
            ("ignored", ignored),
            ("rejected", refused),
        )
        if kinds
    )
    if held:
        cure = """For vLLM: --structured-outputs-config '{"disable_any_whitespace":true}' prevents that."""
        seen = f"Choices are requested with {held[0]}. {outcomes.capitalize()}."
        return Finding("structured output", "good", seen, cure if blank else "")
    return Finding(
        "structured output",
        "bad",
        f"No kind of constraint is enforced, so choices are read from free text. {outcomes.capitalize()}.",
        "Use a server that supports structured output (vLLM, llama.cpp, SGLang and TGI do). A proxy must forward "
        "response_format.",
    )


def _blank(answer: ServerAnswer) -> bool:
    """Whether an answer is the beginning of an object that never ended, as weak models write under a grammar that
    allows white space anywhere."""
    return answer.finish_reason == "length" and answer.text.lstrip().startswith("{")


async def reasoning(subject: Subject) -> Finding:
    """Whether the model thinks before it answers, in what field, and what turns it off."""
    thought = next((answer for answer in subject.seen if answer.reasoning.strip()), None)
    if thought is None:
        subject.profile = msgspec.structs.replace(subject.profile, thinks=False)
        return Finding("reasoning", "good", "The model answers without reasoning.")
    for fields in dialects.load().thinking_off:
        try:
            answer, _ = await subject.ask("thinking", QUESTION, max_tokens=ROOM, fields=fields, adapt=False)
        except ModelError:
            continue
        if answer.text.strip() and not answer.reasoning.strip():
            subject.profile = msgspec.structs.replace(subject.profile, thinks=True, thinking_off=fields)
            switch = msgspec.json.encode(fields).decode()
            return Finding("reasoning", "good", f"The reasoning is in {thought.field}; {switch} turns it off.")
    subject.profile = msgspec.structs.replace(subject.profile, thinks=True, thinking_off={})
    return Finding(
        "reasoning",
        "warning",
        f"The reasoning is in {thought.field}, and no known switch turns it off: every choice costs reasoning tokens.",
        "Allow longer answers (max_tokens in the company's [model]), or serve a model that does not think.",
    )


PROSE = (
    "Our office takes a task of one sentence and turns it into a small program. First we agree on what the program is "
    "for and how its user starts it. Then one of us writes tests from the task alone, another writes the program, a "
    "third reads it with a sharp eye, and in the end the tests decide. "
)
CODE = '''
def average(numbers: list[float]) -> float:
    """The arithmetic mean of the numbers, or zero if there are none."""
    if not numbers:
        return 0.0
    return sum(numbers) / len(numbers)
'''


async def counting(subject: Subject) -> Finding:
    """Characters per token in prose and in code, if the server counts tokens; and whether it has ``/tokenize``."""
    estimator, rates = TokenEstimator(), []
    for what, text in (("prose", PROSE * 4), ("code", CODE * 6)):
        try:
            answer, _ = await subject.ask("counting", text, max_tokens=1)
        except ModelError as error:
            return Finding("tokens", "bad", error.what, error.do)
        if answer.usage:
            messages = (Message("user", text),)
            if fitting.doubt(estimator.span(messages), answer.usage.prompt_tokens) is not fitting.Doubt.NONE:
                return Finding(
                    "tokens",
                    "bad",
                    f"The server counted only {answer.usage.prompt_tokens} tokens in {len(text):,} characters of "
                    f"{what}: it may have truncated the prompt silently.",
                    "Serve the model with a larger window (Ollama: OLLAMA_CONTEXT_LENGTH).",
                )
            estimator = estimator.learn(messages, answer.usage.prompt_tokens)
            rates.append(f"{len(text) / answer.usage.prompt_tokens:.1f} characters per token in {what}")
    page = await _tokenize(subject)
    if not rates:
        return Finding("tokens", "warning", f"The server does not count them, so they are estimated. {page}")
    subject.profile = msgspec.structs.replace(subject.profile, low=estimator.low, high=estimator.high)
    return Finding("tokens", "good", f"{', '.join(rates)}. {page}")


async def _tokenize(subject: Subject) -> str:
    address = subject.line.address
    # vLLM's name for the text, and llama.cpp's.
    body = {"model": subject.facts.model, "prompt": PROSE, "content": PROSE}
    try:
        status, _ = await subject.line.post(f"{address.root}/tokenize", body, address.deadlines.idle)
    except ModelError:
        return "There is no /tokenize."
    return "/tokenize answers." if status == 200 else "There is no /tokenize."


async def seed(subject: Subject) -> Finding:
    """Whether the same seed gives the same answer, at a temperature where another seed would not."""
    question = "Write one short sentence about the sea."
    texts = []
    for number in (7, 7, 8):
        try:
            answer, _ = await subject.ask("seed", question, temperature=1.0, fields={"seed": number})
        except ModelError as error:
            return Finding("seed", "warning", f"Requests with a seed failed: {error.what}")
        texts.append(answer.text + answer.reasoning)
    if texts[0] != texts[1]:
        return Finding(
            "seed",
            "warning",
            "The same seed gave two different answers: a run cannot be repeated exactly (it can be resumed).",
        )
    other = "another seed gives a different one" if texts[2] != texts[0] else "so does another seed"
    return Finding("seed", "good", f"The same seed gives the same answer; {other}.")
