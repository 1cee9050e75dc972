"""The requests of a benchmark: those of a recorded run, as often as needed, with a unique task for each project."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chatdev import runs, wiring
from chatdev.errors import UserError
from chatdev.journal.events import MessageStored, ModelAnswered
from chatdev.journal.store import Record, read
from chatdev.models.choose import choose
from chatdev.models.fitting import TokenEstimator
from chatdev.models.types import Message
from chatdev.playback import demo
from chatdev.receipt import Usage
from chatdev.settings import Settings

SHIPPED = "create a calculator"
"""The task of the recording that is played if no run is named."""


class RecordedCall(msgspec.Struct, frozen=True):
    """One request of the recorded run. ``tokens`` is the size of the recorded answer, and the limit for the new one."""

    place: str
    messages: tuple[Message, ...]
    tokens: int


class Workload(msgspec.Struct, frozen=True):
    """The calls of one project in the order of the log. ``title`` says briefly where they are from."""

    title: str
    task: str
    calls: tuple[RecordedCall, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all recorded answers together."""
        return sum(call.tokens for call in self.calls)

    def project(self, mark: str) -> tuple[RecordedCall, ...]:
        """The calls of another project, with ``mark`` before its task. The text before the task is the same for all
        projects, as in real ones; nothing after it can come from another project's prefix cache."""
        return tuple(
            msgspec.structs.replace(call, messages=_marked(call.messages, self.task, mark)) for call in self.calls
        )

    def contains_task(self, call: RecordedCall) -> bool:
        """Whether a call's messages contain the task, so that ``project`` makes them different."""
        return _marked(call.messages, self.task, "") != call.messages

    def most(self) -> Usage:
        """What a project will probably use at most: prompts by the upper estimate, answers at their limit."""
        prompts = sum(TokenEstimator().span(call.messages)[1] for call in self.calls)
        return Usage(prompts, self.tokens, estimated=True)


def _marked(messages: tuple[Message, ...], task: str, mark: str) -> tuple[Message, ...]:
    """The messages with the mark before the first occurrence of the task."""
    whole = re.compile(rf"(?<!\w){re.escape(task)}(?!\w)")
    for number, message in enumerate(messages):
        if found := whole.search(message.content):
            content = f"{message.content[: found.start()]}(project {mark}) {message.content[found.start() :]}"
            return (*messages[:number], Message(message.role, content), *messages[number + 1 :])
    return messages


def of_run(folder: Path) -> Workload:
    """The requests of one of the user's runs. Raises UserError and JournalError."""
    records = read(runs.log_of(folder))
    order = runs.started(records, folder)
    calls = tuple(_calls(records))
    if not calls:
        raise UserError(
            f"No model answered in the run {folder}, so it has no requests to measure with.",
            do="Name a run that got further; chatdev runs lists them.",
        )
    return Workload(f'the run "{folder.name}"', order.task.strip(), calls)


def _calls(records: Iterable[Record]) -> Iterable[RecordedCall]:
    texts: dict[str, Message] = {}
    for record in records:
        match record.event:
            case MessageStored(id=name, role="system" | "user" | "assistant" as role, content=content):
                texts[name] = Message(role, content)
            case ModelAnswered(place=place, messages=names, completion_tokens=tokens):
                yield RecordedCall(place, tuple(texts[name] for name in names), max(tokens, 1))


async def shipped() -> Workload:
    """The requests of the calculator that ships with ChatDev: ``full`` plays its recording once, in a second, in a
    temporary folder. Raises what a run raises."""
    with tempfile.TemporaryDirectory(prefix="chatdev-bench-") as folder:
        async with demo.serving(SHIPPED) as endpoint:
            choice = await choose("VLLM", Settings(vllm_endpoint=endpoint))
            try:
                run = runs.begin(runs.RunRequest(task=SHIPPED, name="Calculator", config="full"), Path(folder))
                await wiring.work(run, choice)
            finally:
                await choice.backend.aclose()
        return msgspec.structs.replace(of_run(run), title=f'the recorded run "{SHIPPED}" that ships with ChatDev')
