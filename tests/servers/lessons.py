"""What a model must know by heart to play a recording: each conversation of the company's run, and its answer.

The recording is played once, over HTTP, in the manner of vLLM: an answer with a choice is the bare choice, since vLLM
holds the model to it, and an answer that the recording cuts short ends by itself, as all do that were learned by heart.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chatdev import runs, wiring
from chatdev.company import config
from chatdev.journal import store
from chatdev.journal.events import MessageStored, ModelAnswered
from chatdev.models.choose import choose
from chatdev.playback.demo import recording_of
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.settings import load


class Lesson(msgspec.Struct, frozen=True):
    """A conversation in the protocol's form, and what is to be answered."""

    messages: tuple[dict[str, str], ...]
    answer: str


async def lessons(task: str, name: str, warehouse: Path) -> tuple[Lesson, ...]:
    """Run the company ``full`` on the recording of ``task``; the lessons in the order of the log.

    The run lies in ``warehouse``, and has passed.
    """
    async with Playback(_as_vllm_answers(recording_of(task))) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, warehouse))
        try:
            folder = runs.begin(runs.RunRequest(task=task, name=name, config="full"), warehouse)
            verdict = await wiring.work(folder, choice)
        finally:
            await choice.backend.aclose()
    assert verdict.verdict == "passed", verdict
    return told_in(folder)


def told_in(folder: Path) -> tuple[Lesson, ...]:
    """Every call of a run, from its log."""
    stored: dict[str, dict[str, str]] = {}
    lessons_of_run = []
    for record in store.read(runs.log_of(folder)):
        match record.event:
            case MessageStored(id=key, role=role, content=content):
                stored[key] = {"role": role, "content": content}
            case ModelAnswered(messages=messages, text=text):
                lessons_of_run.append(Lesson(tuple(stored[key] for key in messages), text))
    return tuple(lessons_of_run)


def write(path: Path, all_lessons: Sequence[Lesson]) -> Path:
    """One lesson a line, as JSON: what ``memorise.py`` reads, which runs on another interpreter."""
    path.write_text("".join(json.dumps(msgspec.to_builtins(each)) + "\n" for each in all_lessons), encoding="utf-8")
    return path


def _as_vllm_answers(recording: Recording) -> Recording:
    phases = config.load(config.find("full")).phases

    def changed(entry: Entry) -> Entry:
        phase = phases.get(entry.place.split("/")[-3].partition(".")[0])  # other companies have phases of their own
        chooses = phase is not None and phase.kind == "choice"
        text = entry.text.rpartition("<INFO>")[2].strip() if chooses else entry.text
        return msgspec.structs.replace(entry, text=text, finish="stop")

    return msgspec.structs.replace(recording, entries=tuple(map(changed, recording.entries)))
