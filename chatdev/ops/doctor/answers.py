"""What the endpoint answers: a chat, a stream, structured output, reasoning, counts and seeds, each tried."""

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from chatdev.models import budget, constraints
from chatdev.models.budget import Gauge
from chatdev.models.errors import CutShort, EndpointError, ModelError
from chatdev.models.profile import THINKING_OFF
from chatdev.models.stream import Answer
from chatdev.models.types import Message
from chatdev.ops.doctor.findings import Finding
from chatdev.ops.doctor.subject import SHORT, Subject

QUESTION = "Name the three primary colours."
ROOM = 512
"""Tokens for an answer before which a model may think."""

_MARKS = re.compile(
    r"<\|[a-z_]+\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|<｜[^>]{1,20}｜>|### (?:Human|Instruction)"
)
"""What a chat template puts around turns; in an answer's text, it was not taken for the end."""

_NO_TEMPLATE = re.compile(r"chat.?template", re.IGNORECASE)


async def chat(subject: Subject) -> Finding:
    """Whether a conversation is answered at all, whole, and in words."""
    began = time.monotonic()
    try:
        answer, _ = await subject.ask("chat", QUESTION, max_tokens=ROOM, stream=False)
    except ModelError as error:
        if _NO_TEMPLATE.search(str(error)):
            return Finding(
                "chat",
                "bad",
                f"The model has no chat template, or a broken one: {error.what}",
                "Serve a model that was made for chats (…-Instruct), or give it a template (vLLM: --chat-template "
                "FILE, llama.cpp: --jinja --chat-template-file FILE).",
            )
        return Finding("chat", "bad", error.what, error.do or "The server's log says more.")
    seconds = time.monotonic() - began
    text = answer.text.strip()
    if not text and answer.reasoning:
        return Finding(
            "chat",
            "bad",
            f"The answer itself was empty: all {len(answer.reasoning):,} characters stood in the field "
            f"{answer.field}, and it ended with {answer.finish_reason}.",
            "Start the server with the reasoning parser of this very model, or with none (vLLM: --reasoning-parser), "
            "or switch its thinking off.",
        )
    if not text:
        return Finding("chat", "bad", "The answer was empty.", "Look into the server's log; another model may do.")
    if marks := sorted(set(_MARKS.findall(text))):
        return Finding(
            "chat",
            "bad",
            f"The answer runs on past its end: it holds {', '.join(marks)}. The chat template is not this model's.",
            "Serve the model with its own template, from the files of its -Instruct form.",
        )
    return Finding("chat", "good", f"Answers, in {seconds:.1f} s: {_quoted(text)}")


def _quoted(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f'"{line[:60]}{"…" if len(line) > 60 else ""}"'


async def stream(subject: Subject) -> AsyncIterator[Finding]:
    """Whether an answer comes piece by piece, with its finish reason, its counts and its end mark."""
    try:
        answer, reply = await subject.ask("stream", QUESTION, max_tokens=ROOM)
    except CutShort as error:
        yield Finding(
            "streaming",
            "bad",
            error.what,
            "Something between here and the model closes the connection: look into the server's log, and into the time "
            "limits of any proxy.",
        )
        return
    except ModelError as error:
        yield Finding("streaming", "bad", error.what, error.do or "The server's log says more.")
        return
    if not answer.streamed:
        yield Finding(
            "streaming",
            "warning",
            "The answer came in one piece although a stream was asked for: a run shows no progress, and a stalled "
            "server is noticed late.",
            "Switch off whatever buffers the stream (proxy_buffering off in nginx).",
        )
    else:
        first = f", the first after {reply.first_token:.2f} s" if reply.first_token else ""
        yield Finding("streaming", "good", f"{answer.pieces} pieces{first}; finish reason {answer.finish_reason}.")
    yield _usage(answer)
    if answer.streamed and not answer.done:
        yield Finding(
            "end of stream",
            "warning",
            "No data: [DONE] came; the finish reason is taken for the end.",
            "Nothing need be done: answers end rightly. Newer servers send it.",
        )


def _usage(answer: Answer) -> Finding:
    if answer.usage is None:
        return Finding(
            "usage",
            "bad",
            "The server counts no tokens, so that all counts are estimates, and a prompt that it cuts goes unnoticed.",
            "Take a server or a version that heeds stream_options.include_usage (vLLM, llama.cpp, SGLang and TGI do).",
        )
    usage = answer.usage
    return Finding(
        "usage", "good", f"{usage.prompt_tokens} prompt and {usage.completion_tokens} completion tokens told."
    )


_CHOICES = ("ochre-17", "mauve-42")
"""Two answers that nobody gives to the question by chance."""


async def structured(subject: Subject) -> Finding:
    """Which kinds of constraint hold an answer to a choice. The best that does is what runs will use."""
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
    told = "; ".join(
        f"{word}: {', '.join(kinds)}"
        for word, kinds in (
            ("kept", held),
            ("kept, but not ended for all the white space", blank),
            ("ignored", ignored),
            ("refused", refused),
        )
        if kinds
    )
    if held:
        cure = """vLLM leaves it out with --structured-outputs-config '{"disable_any_whitespace":true}'."""
        seen = f"Choices are asked for by {held[0]}. {told.capitalize()}."
        return Finding("structured output", "good", seen, cure if blank else "")
    return Finding(
        "structured output",
        "bad",
        f"No kind of constraint is kept, so that choices are read out of free text. {told.capitalize()}.",
        "Take a server that has structured output (vLLM, llama.cpp, SGLang and TGI do); a proxy must pass "
        "response_format on.",
    )


def _blank(answer: Answer) -> bool:
    """Whether an answer is the beginning of an object that found no end: a weak model's way through a grammar that
    allows white space anywhere."""
    return answer.finish_reason == "length" and answer.text.lstrip().startswith("{")


async def reasoning(subject: Subject) -> Finding:
    """Whether the model thinks before it answers, where that stands, and what switches it off."""
    thought = next((answer for answer in subject.seen if answer.reasoning.strip()), None)
    if thought is None:
        subject.profile = msgspec.structs.replace(subject.profile, thinks=False)
        return Finding("reasoning", "good", "The model answers without reasoning.")
    switches: tuple[dict[str, Any], ...] = (
        THINKING_OFF,
        {"chat_template_kwargs": {"thinking": False}},
        {"reasoning_effort": "none"},
        {"think": False},
    )
    for fields in switches:
        try:
            answer, _ = await subject.ask("thinking", QUESTION, max_tokens=ROOM, fields=fields, adapt=False)
        except ModelError:
            continue
        if answer.text.strip() and not answer.reasoning.strip():
            subject.profile = msgspec.structs.replace(subject.profile, thinks=True, thinking_off=fields)
            switch = msgspec.json.encode(fields).decode()
            return Finding("reasoning", "good", f"It stands in {thought.field}, and {switch} switches it off.")
    subject.profile = msgspec.structs.replace(subject.profile, thinks=True, thinking_off={})
    return Finding(
        "reasoning",
        "warning",
        f"It stands in {thought.field}, and nothing that we know of switches it off: every choice costs its thoughts.",
        "Give answers room (max_tokens in the company's [model]), or serve a model that does not think.",
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
    """How many characters make a token here: where the count is told, in prose and in code; and ``/tokenize``."""
    gauge, told = Gauge(), []
    for what, text in (("prose", PROSE * 4), ("code", CODE * 6)):
        try:
            answer, _ = await subject.ask("counting", text, max_tokens=1)
        except ModelError as error:
            return Finding("tokens", "bad", error.what, error.do)
        if answer.usage:
            messages = (Message("user", text),)
            if budget.doubt(gauge.span(messages), answer.usage.prompt_tokens) is not budget.Doubt.NONE:
                return Finding(
                    "tokens",
                    "bad",
                    f"Of {len(text):,} characters of {what} the server counted {answer.usage.prompt_tokens} tokens: it "
                    "may have cut them without a word.",
                    "Serve the model with a larger window (Ollama: OLLAMA_CONTEXT_LENGTH).",
                )
            gauge = gauge.learn(messages, answer.usage.prompt_tokens)
            told.append(f"{len(text) / answer.usage.prompt_tokens:.1f} characters a token in {what}")
    page = await _tokenize(subject)
    if not told:
        return Finding("tokens", "warning", f"Not counted, so that they are estimated. {page}")
    subject.profile = msgspec.structs.replace(subject.profile, low=gauge.low, high=gauge.high)
    return Finding("tokens", "good", f"{', '.join(told)}. {page}")


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
    """Whether the same seed gives the same answer, at a temperature at which another one would not."""
    question = "Write one short sentence about the sea."
    texts = []
    for number in (7, 7, 8):
        try:
            answer, _ = await subject.ask("seed", question, temperature=1.0, fields={"seed": number})
        except ModelError as error:
            return Finding("seed", "warning", f"Not taken: {error.what}")
        texts.append(answer.text + answer.reasoning)
    if texts[0] != texts[1]:
        return Finding(
            "seed",
            "warning",
            "The same seed gave two different answers: a run cannot be repeated word for word (it can be resumed).",
        )
    other = "another seed another one" if texts[2] != texts[0] else "and so does another seed"
    return Finding("seed", "good", f"The same seed gives the same answer, {other}.")
