"""Trains a small language model, on the CPU and from nothing, until it knows given answers by heart.

``memorise.py LESSONS FOLDER``, run by the interpreter of ``.venv-servers``: LESSONS has one JSON object a line, with
the ``messages`` of a conversation and the ``answer`` to it; the model is saved in FOLDER, as vLLM loads it.

The loss counts the answers alone. Prompts are long, and what tells one from another mostly stands near their ends: so
each layer of the model sees only the last SIGHT tokens, and nothing that stands further back than all layers together
can make a difference. That is why it is trained on the ends of the prompts, and checked on whole ones.

The outcome follows from the lessons and the SEED, as far as floating point does from one machine to the next. If not
every token of every answer came to a probability of at least SURE, it says what is still wrong, and ends with exit
status 1.
"""

import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tiny_qwen
import torch
from helpers.chatml import END_OF_TURN
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

SEED = 1
VOCABULARY, WIDTH, LAYERS, SIGHT = 1400, 128, 2, 640
WINDOW = 16_384
SURE = 0.95
"""Of the least probable token, at temperature 1. Where the company asks, at 0.2, that is a miss in two million."""
BATCHES = 8
"""Steps of the optimizer in one round over all lessons, with about as many tokens of answers in each."""
ROUNDS = 150
"""After so many it gives up; it takes about 60."""
FASTEST, WARM_UP, LEVEL, DECAY, SLOWEST = 3e-3, 20, 28, 0.93, 1.5e-4
"""The learning rate: it grows for 20 steps, and from round 28 on loses 7 % with each round. Without that, what is known
is forgotten again and again: of 6,184 tokens, 44 were wrong in round 36, and 129 in round 55."""


class Lesson(NamedTuple):
    """Token ids: the whole prompt as the chat template renders it, and the answer with its end."""

    prompt: list[int]
    answer: list[int]


class Score(NamedTuple):
    """How well answers are known: tokens that are not the likeliest ones, and the least probability of any."""

    wrong: int = 0
    least: float = 1.0

    def with_(self, other: "Score") -> "Score":
        """Both together."""
        return Score(self.wrong + other.wrong, min(self.least, other.least))


def read(texts: Sequence[dict[str, Any]], words: PreTrainedTokenizerBase) -> list[Lesson]:
    """The lessons in tokens."""
    return [
        Lesson(
            words.apply_chat_template(text["messages"], add_generation_prompt=True, return_dict=False),
            words.encode(text["answer"] + END_OF_TURN, add_special_tokens=False),
        )
        for text in texts
    ]


def batches(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """The lessons in BATCHES parts, the longest first, each into the part that has the least so far."""
    parts: list[list[Lesson]] = [[] for _ in range(BATCHES)]
    for lesson in sorted(lessons, key=lambda lesson: -len(lesson.answer)):
        min(parts, key=lambda part: sum(len(each.answer) for each in part)).append(lesson)
    return parts


def answered(model: Qwen2ForCausalLM, lesson: Lesson, sight: int) -> tuple[torch.Tensor, Score]:
    """The summed loss over an answer, told token by token after the last ``sight`` tokens of its prompt; the score."""
    prompt, expected = lesson.prompt[-sight:], torch.tensor(lesson.answer)
    told = torch.tensor([prompt + lesson.answer[:-1]])
    hidden = model.model(input_ids=told, use_cache=False).last_hidden_state[0, len(prompt) - 1 :]
    logits = model.lm_head(hidden)
    loss = functional.cross_entropy(logits, expected, reduction="none")
    wrong = int((logits.argmax(-1) != expected).sum())
    return loss.sum(), Score(wrong, float(torch.exp(-loss.detach().max())))


def train(model: Qwen2ForCausalLM, lessons: Sequence[Lesson]) -> Score:
    """Train until every token of every answer is SURE, or for ROUNDS rounds; the score on whole prompts."""
    order, steps, began = random.Random(SEED), 0, time.monotonic()
    parts = batches(lessons)
    optimizer = torch.optim.AdamW(model.parameters(), lr=FASTEST, betas=(0.9, 0.98), weight_decay=0.0)
    for turn in range(1, ROUNDS + 1):
        score = Score()
        order.shuffle(parts)
        for part in parts:
            tokens = sum(len(lesson.answer) for lesson in part)
            for lesson in part:
                loss, one = answered(model, lesson, LAYERS * (SIGHT - 1) + 1)
                (loss / tokens).backward()
                score = score.with_(one)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = pace(steps, turn)
            optimizer.step()
            optimizer.zero_grad()
        told = f"round {turn}: {score.wrong} tokens wrong, least probability {score.least:.4f}"
        if turn % 5 == 0:
            print(f"{told}, {time.monotonic() - began:.0f} s", flush=True)
        if score.least >= SURE and (checked := check(model, lessons)).least >= SURE:
            return checked
    return check(model, lessons)


def pace(steps: int, turn: int) -> float:
    """The learning rate of a step and a round, both counted from 1."""
    return max(SLOWEST, FASTEST * DECAY ** max(0, turn - LEVEL)) * min(1.0, steps / WARM_UP)


def check(model: Qwen2ForCausalLM, lessons: Sequence[Lesson]) -> Score:
    """The score on whole prompts, as a server will be asked."""
    score = Score()
    with torch.no_grad():
        for lesson in lessons:
            score = score.with_(answered(model, lesson, len(lesson.prompt))[1])
    return score


def main(source: Path, folder: Path) -> int:
    """Train, check and save; the exit status."""
    torch.set_num_threads(1)  # the sums come out the same, whatever the machine
    torch.manual_seed(SEED)
    texts = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    said = [message["content"] for text in texts for message in text["messages"]] + [text["answer"] for text in texts]
    words = tiny_qwen.tokenizer(said, VOCABULARY, folder)
    lessons = read(texts, words)
    model = tiny_qwen.untrained(words, window=WINDOW, width=WIDTH, layers=LAYERS, sight=SIGHT)
    sizes = [sum(map(len, each)) for each in zip(*lessons, strict=True)]
    print(
        f"{model.num_parameters():,} parameters; {len(lessons)} prompts of {sizes[0]:,} tokens, answers of {sizes[1]:,}"
    )
    score = train(model, lessons)
    if score.least < SURE:
        print(f"NOT CONVERGED: {score.wrong} tokens wrong on whole prompts, least probability {score.least:.4f}")
        return 1
    model.save_pretrained(folder)
    print(f"converged: no token wrong on whole prompts, least probability {score.least:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
