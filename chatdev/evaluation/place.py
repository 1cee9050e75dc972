"""An evaluation as it lies on the disk, held by one process.

OUT/eval.json       what it was begun with
OUT/arms/NAME/      a batch for each company, and one for all one-shot answers; nothing hidden is below it
OUT/judged.jsonl    a line for each product that was judged
OUT/report.json, report.md, report.svg
"""

import contextlib
import datetime
from pathlib import Path

import msgspec

from chatdev.errors import UserError
from chatdev.evaluation.judging import Judged
from chatdev.fleet.ledger import lines
from chatdev.journal import lock

Key = tuple[str, str, int, str, str]


class Begun(msgspec.Struct, frozen=True):
    """What an evaluation was begun with: ``model`` is the server's word for the one that is measured, ``date`` the day
    of its first answer, as YYYY-MM-DD."""

    model: str
    date: str


class Place:
    """The folder of an evaluation; ``close`` lets go of it. Raises UserError, and Busy where another process has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"No evaluation can be kept in {folder} ({error.strerror}).", do="Choose another --out."
            ) from error
        self._files = contextlib.ExitStack()
        self._files.callback(lock.release, lock.take(folder / ".lock"))
        try:
            self._judged = {each.key: each for each in self._known()}
            self._log = self._files.enter_context((folder / "judged.jsonl").open("ab", buffering=0))
        except BaseException:
            self._files.close()
            raise

    def arm(self, name: str) -> Path:
        """The folder of an arm's batch."""
        return self.folder / "arms" / name

    @property
    def begun(self) -> Begun | None:
        """What it was begun with; None before its first answer. Raises UserError."""
        try:
            return msgspec.json.decode((self.folder / "eval.json").read_bytes(), type=Begun)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise UserError(f"{self.folder / 'eval.json'} cannot be read ({error}).", do="Delete it.") from error

    def begin(self, model: str) -> None:
        """Note which model is measured. Raises UserError if it was another one so far."""
        begun = self.begun
        if begun is None:
            today = datetime.datetime.now().strftime("%Y-%m-%d")
            self.write("eval.json", msgspec.json.encode(Begun(model, today)) + b"\n")
        elif begun.model != model:
            raise UserError(
                f"The evaluation in {self.folder} measures {begun.model}, and {model} answers now.",
                do="Serve that model again, or give another --out.",
            )

    def write(self, name: str, data: bytes) -> None:
        """Put a small file in place, whole. Raises OSError."""
        new = self.folder / f"{name}.new"
        new.write_bytes(data)
        new.replace(self.folder / name)

    def judgement(self, key: Key) -> Judged | None:
        """What is known of a product."""
        return self._judged.get(key)

    def put(self, judged: Judged) -> None:
        """Keep a judgement. Raises OSError."""
        self._log.write(msgspec.json.encode(judged) + b"\n")
        self._judged[judged.key] = judged

    def _known(self) -> list[Judged]:
        """The judgements so far; a torn last line is cut off. Raises UserError."""
        return lines(self.folder / "judged.jsonl", Judged, do="Delete it: products are then judged again.")

    def close(self) -> None:
        """Let go of the folder."""
        self._files.close()
