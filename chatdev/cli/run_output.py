"""The output of a run: text for a person, or JSON lines for a program."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from chatdev import ownfile, wiring
from chatdev.cli import common
from chatdev.errors import ChatDevError
from chatdev.journal import events
from chatdev.journal.store import Record
from chatdev.models.types import Progress
from chatdev.views import lines
from chatdev.views.json_lines import JsonLines
from chatdev.views.terminal import Terminal


class RunOutput(Protocol):
    """The output of a run. ``live``: there is a status line that can show the server's metrics. ``redact`` removes
    secrets from everything that is not in the log."""

    redact: Callable[[str], str]

    @property
    def live(self) -> bool: ...

    def begun(self, earlier: Sequence[Record]) -> None:
        """The work begins; ``earlier`` is what the log holds already."""

    def on_record(self, record: Record) -> None: ...

    def on_progress(self, role: str, progress: Progress) -> None: ...

    def on_server(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def error(self, error: ChatDevError) -> None: ...

    def debug(self, text: str) -> None: ...

    def paused(self) -> None:
        """The work is over for now: remove the status line."""

    def ended(self, folder: Path, verdict: str, status: int) -> None:
        """The final output. ``verdict`` is empty if there is none."""


class Text:
    """Records on standard output, everything else on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.redact: Callable[[str], str] = str
        self._terminal: Terminal | None = None

    @property
    def _shown(self) -> Terminal:
        if self._terminal is None:
            self._terminal = Terminal(sys.stdout, quiet=self._quiet, redact=self._redacted)
        return self._terminal

    def _redacted(self, text: str) -> str:
        return self.redact(text)

    @property
    def live(self) -> bool:
        return self._shown.live

    def begun(self, earlier: Sequence[Record]) -> None:
        for record in earlier[:1]:
            if isinstance(record.event, events.RunStarted):
                for line in lines.ignored(record.event):
                    self._shown.say(line.text, line.style)

    def on_record(self, record: Record) -> None:
        self._shown.on_record(record)

    def on_progress(self, role: str, progress: Progress) -> None:
        self._shown.on_progress(role, progress)

    def on_server(self, text: str) -> None:
        self._shown.on_server(text)

    def notice(self, text: str) -> None:
        common.say(self.redact(text))

    def error(self, error: ChatDevError) -> None:
        common.say(self.redact(f"Error: {error}"))

    def debug(self, text: str) -> None:
        common.say(self.redact(f"{text}\n"))

    def paused(self) -> None:
        self._shown.close()

    def ended(self, folder: Path, verdict: str, status: int) -> None:
        if verdict:
            report = f"Verdict: {verdict}\nReport:  {folder / 'REPORT.md'}"
            common.conclude(f"{wiring.software_info(folder)}\n\n{report}")


class Json:
    """Everything on standard output, one JSON object per line; the last one is ``ended`` if a run was started."""

    live = False

    def __init__(self) -> None:
        self._lines = JsonLines(sys.stdout)
        self.redact: Callable[[str], str] = str

    def begun(self, earlier: Sequence[Record]) -> None:
        for record in earlier[:1]:  # run.started: it says what the run is about
            self.on_record(record)

    def on_record(self, record: Record) -> None:
        self._lines.on_record(record)

    def on_progress(self, role: str, progress: Progress) -> None:
        pass

    def on_server(self, text: str) -> None:
        pass

    def notice(self, text: str) -> None:
        self._lines.say("notice", text=self.redact(text))

    def error(self, error: ChatDevError) -> None:
        self._lines.say(
            "error", error=type(error).__name__, text=self.redact(str(error)), exit_status=error.exit_status
        )

    def debug(self, text: str) -> None:
        self._lines.say("debug", text=self.redact(text))

    def paused(self) -> None:
        pass

    def ended(self, folder: Path, verdict: str, status: int) -> None:
        self._lines.say(
            "ended", verdict=verdict or None, report=str(folder / "REPORT.md"), folder=str(folder), exit_status=status
        )


class DebugLog:
    """Writes requests and answers to the voice, and to a file with the time (UTC) of each.

    Each endpoint's own keys are masked already; ``redact`` removes those of the others.
    """

    def __init__(self, path: Path, output: RunOutput, redact: Callable[[str], str]) -> None:
        self._redact = redact
        opened = ownfile.handle(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, ownfile.PRIVATE)
        os.fchmod(opened, ownfile.PRIVATE)  # an earlier version may have made it
        self._file = os.fdopen(opened, "a", encoding="utf-8", errors="replace")
        self._output = output

    def __call__(self, text: str) -> None:
        now, text = time.time(), self._redact(text)
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(1000 * (now % 1)):03}Z"
        self._output.debug(text)
        with contextlib.suppress(OSError, ValueError):  # if the disk is full, the journal is what stops the run
            self._file.write(f"{stamp} {text}\n\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()
