"""Shared by ``run.py``, ``build`` and ``resume``: take a run to its end and tell its user how it went."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from chatdev import wiring
from chatdev.cli import common
from chatdev.errors import ChatDevError
from chatdev.journal.events import RunStarted
from chatdev.journal.store import read
from chatdev.models.choose import Choice, choose
from chatdev.project.verdict import STARTS
from chatdev.settings import Settings, load_here
from chatdev.views.terminal import Terminal

DEMO = "DEMO"


@contextlib.asynccontextmanager
async def chosen(label: str | None, task: str, settings: Settings) -> AsyncIterator[Choice]:
    """The model for a label; for DEMO, a stand-in server that plays the recording of this task while it is used."""
    if label is None or label.upper() != DEMO:
        try:
            choice = await choose(label, settings)
        except ChatDevError:
            for note in settings.notes:  # else they are told at the beginning of the work
                common.say(note)
            raise
        try:
            yield choice
        finally:
            await choice.backend.aclose()
        return
    from chatdev.playback import demo

    async with demo.serving(task) as endpoint:
        own = msgspec.structs.replace(
            settings,
            vllm_endpoint=endpoint,
            vllm_model_name="default",
            vllm_api_key=None,
            openai_api_key=None,
            proxy=None,
        )
        async with chosen("VLLM", task, own) as choice:
            yield msgspec.structs.replace(choice, label=DEMO)


def build(order: wiring.Order, label: str | None, *, quiet: bool) -> int:
    """Begin a run and take it to its end; the exit status. Every failure is said in plain words."""

    async def work() -> int:
        settings = load_here()
        async with chosen(label, order.task, settings) as choice:
            folder = wiring.begin(msgspec.structs.replace(order, model=choice.label), common.WAREHOUSE)
            return await _work(folder, choice, settings, quiet=quiet)

    try:
        order.checked()
        return common.run(work())
    except ChatDevError as error:
        common.fail(error)


def resume(folder: Path, label: str | None, *, quiet: bool, role_models: tuple[str, ...] = ()) -> int:
    """Take an interrupted run to its end; one that has ended is only shown again. The exit status."""

    async def work(order: RunStarted) -> int:
        settings = load_here()
        async with chosen(label or order.model, order.task, settings) as choice:
            return await _work(folder, choice, settings, quiet=quiet, role_models=role_models)

    try:
        records = read(wiring.log_of(folder))
        order = wiring.started(records, folder)
        if (ended := wiring.finished(records)) is not None:
            wiring.deliver(folder, records)
            return closing(folder, ended.verdict)
        return common.run(work(order))
    except ChatDevError as error:
        common.fail(error)


async def _work(
    folder: Path, choice: Choice, settings: Settings, *, quiet: bool, role_models: tuple[str, ...] = ()
) -> int:
    """One attempt at a run, shown in the terminal as it goes."""
    terminal = Terminal(sys.stdout, quiet=quiet)
    hint = f'Nothing is lost. Go on with: {common.program()} resume "{folder}"'
    debug = DebugLog(folder / wiring.HIDDEN / "debug.log") if settings.debug else None
    choice.backend.debug = debug
    try:
        with terminal:
            verdict = await wiring.work(
                folder, choice, on_record=terminal.on_record, on_progress=terminal.on_progress, role_models=role_models
            )
    except asyncio.CancelledError:
        common.say(f"Interrupted. {hint}")
        raise
    except ChatDevError as error:
        common.say(f"Error: {error}\nThe log is {wiring.log_of(folder)}.\n{hint}")
        return error.exit_status
    finally:
        if debug:
            debug.close()
    return closing(folder, verdict.verdict)


def closing(folder: Path, verdict: str) -> int:
    """Print what every run ends with; the exit status that its verdict deserves."""
    common.conclude(f"{wiring.software_info(folder)}\n\nVerdict: {verdict}\nReport:  {folder / 'REPORT.md'}")
    return 0 if verdict in ("passed", STARTS) else 1


class DebugLog:
    """Takes requests and answers, keys masked already, to standard error and to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="replace")

    def __call__(self, text: str) -> None:
        common.say(text)
        self._file.write(text + "\n")
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
