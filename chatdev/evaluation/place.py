"""An evaluation on disk, held by one process.

OUT/eval.json       what it was started with
OUT/arms/NAME/      a batch for each company, and one for all one-shot answers; no hidden cases are below it
OUT/judged.jsonl    a line for each judged product
OUT/report.json, report.md, report.svg
"""

import contextlib
import datetime
from pathlib import Path

import msgspec

from chatdev import ownfile
from chatdev.errors import UserError
from chatdev.evaluation.judging import HiddenResult
from chatdev.journal import lock, torn

Key = tuple[str, str, int, str, str]


class EvalStart(msgspec.Struct, frozen=True):
    """What an evaluation was started with: ``model`` is the server's name of the measured model, ``date`` the day of
    its first answer, as YYYY-MM-DD."""

    model: str
    date: str


class EvalFolder:
    """The folder of an evaluation; ``close`` releases it. ``notes`` are sentences about what was dropped at the end of
    its files. Raises UserError, and Busy if another process has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot create an evaluation in {folder} ({error.strerror}).", do="Choose another --out."
            ) from error
        self._files = contextlib.ExitStack()
        self._files.callback(lock.release, lock.acquire(folder / ".lock"))
        try:
            self._judged = {each.key: each for each in self._recorded()}
            self._log = self._files.enter_context(ownfile.appending(folder / "judged.jsonl"))
        except BaseException:
            self._files.close()
            raise

    def arm(self, name: str) -> Path:
        """The folder of an arm's batch."""
        return self.folder / "arms" / name

    @property
    def start(self) -> EvalStart | None:
        """What it was started with; None before its first answer. Raises UserError."""
        try:
            return msgspec.json.decode(ownfile.read(self.folder / "eval.json"), type=EvalStart)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise UserError(f"{self.folder / 'eval.json'} cannot be read ({error}).", do="Delete it.") from error

    def begin(self, model: str) -> None:
        """Record which model is measured. Raises UserError if it was another one before."""
        start = self.start
        if start is None:
            today = datetime.datetime.now().strftime("%Y-%m-%d")
            self.write("eval.json", msgspec.json.encode(EvalStart(model, today)) + b"\n")
        elif start.model != model:
            raise UserError(
                f"The evaluation in {self.folder} measures {start.model}, but {model} answers now.",
                do="Serve the first model again, or choose another --out.",
            )

    def write(self, name: str, data: bytes) -> None:
        """Replace a small file atomically. Raises LinkRefused and OSError."""
        ownfile.write(self.folder / name, data)

    def judgement(self, key: Key) -> HiddenResult | None:
        """The judgement of a product, if there is one."""
        return self._judged.get(key)

    def put(self, judged: HiddenResult) -> None:
        """Store a judgement. Raises OSError."""
        torn.append(self._log.fileno(), msgspec.json.encode(judged) + b"\n")
        self._judged[judged.key] = judged

    def _recorded(self) -> list[HiddenResult]:
        """The judgements so far; an incomplete last line is dropped. Raises UserError."""
        path, do = self.folder / "judged.jsonl", "Delete it: the products are then judged again."
        return torn.recovered(path, HiddenResult, self.notes.append, do)

    def close(self) -> None:
        """Release the folder."""
        self._files.close()
