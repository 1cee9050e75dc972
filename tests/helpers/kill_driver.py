"""Kills a run at one effect after the other and resumes it each time.

``python -m helpers.kill_driver ENDPOINT MOMENT FOLDER FIRST STEP [ORDER]``: FIRST is the first effect at which it is
killed, counted from 1; STEP the distance to the next one. ORDER is JSON, with the fields of ``runs.RunRequest``; else
it is the calculator.

Attempts are forked from one process that has everything imported. Prints a JSON line per kill: what was asked of the
server in both lives, and what the resumed run left. The moments: ``before`` (the result came and nothing of it was
written), ``torn`` (half of its record was), ``between`` (all of it, not synced), ``after`` (synced).
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from chatdev import runs, wiring
from chatdev.journal import events
from chatdev.journal.effects import digest
from chatdev.journal.store import Record, Store, read
from chatdev.models.choose import choose
from chatdev.models.types import Completion, Message, Options, Watch
from chatdev.sandbox.local import LocalSandbox
from chatdev.settings import load


class DyingStore(Store):
    """Ends the process at an effect that is appended: the one after ``spared`` others."""

    moment = ""
    spared = 0
    met = False

    def append(self, event: events.Any) -> Record:
        if not isinstance(event, events.Effect):
            return super().append(event)
        if self.spared:
            self.spared -= 1
            return super().append(event)
        self.met = True
        if self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        record = super().append(event)
        if self.moment == "torn":
            size = self.path.stat().st_size
            os.truncate(self.path, size - len(self.path.read_bytes().splitlines()[-1]) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    async def sync(self) -> None:
        if self.met and self.moment == "between":
            os.kill(os.getpid(), signal.SIGKILL)
        await super().sync()
        if self.met and self.moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(endpoint: str, folder: Path, moment: str, spared: int = 0) -> int:
    """One life of a run, in a process of its own; how that process ended."""
    child = os.fork()
    if not child:
        DyingStore.moment, DyingStore.spared = moment, spared
        live(endpoint, folder, DyingStore if moment else Store)
    return os.waitpid(child, 0)[1]


def live(endpoint: str, folder: Path, open_store: Callable[[Path], Store]) -> NoReturn:
    """Carry the run on until its end, or that of this process; every question is counted in ``.chatdev/asked``."""

    async def work() -> None:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, folder))
        complete = choice.backend.complete

        async def counted(messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
            with (folder / ".chatdev" / "asked").open("a") as requests:
                requests.write(options.request_id + "\n")
            return await complete(messages, options, watch)

        choice.backend.complete = counted  # type: ignore[method-assign]
        await wiring.work(
            folder, choice, open_store=open_store, sandbox=LocalSandbox()
        )  # the walls are tried elsewhere
        await choice.backend.aclose()

    asyncio.run(work())
    os._exit(0)


def product(folder: Path) -> dict[str, str]:
    """The delivered product by path, as digests; logs and reports differ by their times and are left out."""
    ours = {"REPORT.md", "meta.txt"}
    return {
        path.relative_to(folder).as_posix(): digest(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".chatdev" not in path.parts and path.name not in ours and path.suffix != ".log"
    }


CALCULATOR = '{"task": "create a calculator", "name": "Calculator", "config": "full"}'


def main(endpoint: str, moment: str, warehouse: Path, first: int, step: int, order: str = CALCULATOR) -> None:
    """Kill and resume at the ``first`` effect, and at each ``step``-th one after it."""
    upto = runs.begin(msgspec.json.decode(order, type=runs.RunRequest), warehouse)
    asked_here = upto / ".chatdev" / "asked"
    if first > 1:
        attempt(endpoint, upto, "after", spared=first - 2)
    while True:
        asked_here.write_text("")
        killed = Path(shutil.copytree(upto, warehouse / "killed"))
        if attempt(endpoint, killed, moment) == 0:
            return
        synced = [effect.place for effect in _effects(killed)]
        resumed = attempt(endpoint, killed, "")
        requests = (killed / ".chatdev" / "asked").read_text().split()
        places = [effect.place for effect in _effects(killed)]
        last = read(runs.log_of(killed))[-1].event
        verdict = last.verdict if isinstance(last, events.RunFinished) else ""
        life = {"asked": requests, "synced": synced, "places": places, "verdict": verdict, "status": resumed}
        life["winners"] = [effect.winner for effect in _effects(killed) if isinstance(effect, events.RaceDecided)]
        print(json.dumps(life | {"product": product(killed)}), flush=True)
        shutil.rmtree(killed)
        if attempt(endpoint, upto, "after", spared=step - 1) == 0:
            return


def _effects(folder: Path) -> list[events.Effect]:
    return [record.event for record in read(runs.log_of(folder)) if isinstance(record.event, events.Effect)]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), *sys.argv[6:])
