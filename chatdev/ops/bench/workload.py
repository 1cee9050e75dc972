"""What a bench asks: the requests of a recorded run, as often as needed, each project with a task of its own."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chatdev import runs, wiring
from chatdev.errors import UserError
from chatdev.journal.events import MessageStored, ModelAnswered
from chatdev.journal.store import Record, read
from chatdev.models.budget import Gauge
from chatdev.models.choose import choose
from chatdev.models.types import Message, Usage
from chatdev.playback import demo
from chatdev.settings import Settings

SHIPPED = "create a calculator"
"""The task of the recording that is played where no run is named."""


class Call(msgspec.Struct, frozen=True):
    """One request of the recorded run. ``tokens`` is the size of the recorded answer, and the limit for the new one."""

    place: str
    messages: tuple[Message, ...]
    tokens: int


class Workload(msgspec.Struct, frozen=True):
    """The calls of one project in the order of the log. ``title`` says in a few words whose they are."""

    title: str
    task: str
    calls: tuple[Call, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all recorded answers together."""
        return sum(call.tokens for call in self.calls)

    def project(self, mark: str) -> tuple[Call, ...]:
        """The calls of another project: its task bears ``mark``. What stands before the task is the same for all
        projects, as it is in real ones, and nothing behind it can come from another project's prefix cache."""
        return tuple(
            msgspec.structs.replace(call, messages=_marked(call.messages, self.task, mark)) for call in self.calls
        )

    def bears_task(self, call: Call) -> bool:
        """Whether the task stands in a call's messages, so that ``project`` makes them different."""
        return _marked(call.messages, self.task, "") != call.messages

    def most(self) -> Usage:
        """What a project is likely to take at most: prompts by the upper estimate, answers at their limit."""
        prompts = sum(Gauge().span(call.messages)[1] for call in self.calls)
        return Usage(prompts, self.tokens, estimated=True)


def _marked(messages: tuple[Message, ...], task: str, mark: str) -> tuple[Message, ...]:
    """The messages with the mark before the task, where it stands first."""
    whole = re.compile(rf"(?<!\w){re.escape(task)}(?!\w)")
    for number, message in enumerate(messages):
        if found := whole.search(message.content):
            content = f"{message.content[: found.start()]}(project {mark}) {message.content[found.start() :]}"
            return (*messages[:number], Message(message.role, content), *messages[number + 1 :])
    return messages


def of_run(folder: Path) -> Workload:
    """The requests of a run of the user's. Raises UserError and JournalError."""
    records = read(runs.log_of(folder))
    order = runs.started(records, folder)
    calls = tuple(_calls(records))
    if not calls:
        raise UserError(
            f"No model answered in the run {folder}, so that it holds no requests to measure with.",
            do="Name a run that got further; chatdev runs lists them.",
        )
    return Workload(f'the run "{folder.name}"', order.task.strip(), calls)


def _calls(records: Iterable[Record]) -> Iterable[Call]:
    texts: dict[str, Message] = {}
    for record in records:
        match record.event:
            case MessageStored(id=name, role="system" | "user" | "assistant" as role, content=content):
                texts[name] = Message(role, content)
            case ModelAnswered(place=place, messages=names, completion_tokens=tokens):
                yield Call(place, tuple(texts[name] for name in names), max(tokens, 1))


async def shipped() -> Workload:
    """The requests of the calculator that ships with ChatDev: ``full`` plays its recording once, in a second, in a
    folder that is then gone. Raises what a run raises."""
    with tempfile.TemporaryDirectory(prefix="chatdev-bench-") as folder:
        async with demo.serving(SHIPPED) as endpoint:
            choice = await choose("VLLM", Settings(vllm_endpoint=endpoint))
            try:
                run = runs.begin(runs.Order(task=SHIPPED, name="Calculator", config="full"), Path(folder))
                await wiring.work(run, choice)
            finally:
                await choice.backend.aclose()
        return msgspec.structs.replace(of_run(run), title=f'the recorded run "{SHIPPED}" that ships with ChatDev')
