"""A company whose phases only talk, so that a project takes three calls and runs nothing."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from chatdev.company import config
from chatdev.fleet import batch, tasks
from chatdev.fleet.ledger import Ledger, Result
from chatdev.fleet.plan import BatchPlan
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.choose import Choice, choose
from chatdev.models.spending import SharedCostBudget
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.sandbox import levels
from chatdev.settings import load

CALLS = 3


def company(folder: Path, programmer: str = "") -> Path:
    """Make it; ``programmer`` is an assignment to its role, in TOML."""
    sources = config.read(config.find("full"))
    requests = sources["company.toml"].partition("[requests]")[2]
    chain = "\n".join(f'[[chain]]\nphase = "Plain{number}"' for number in range(1, CALLS + 1))
    head = f'name = "plain"\ndescription = "It talks."\n{programmer}\n{chain}\n[requests]{requests}'
    phases = {
        f"phases/Plain{number}.md": f'+++\nassistant = "Programmer"\nuser = "Chief Executive Officer"\n'
        f'sets = "said{number}"\n+++\nSay {{{{ task }}}}.\n'
        for number in range(1, CALLS + 1)
    }
    kept = {name: text for name, text in sources.items() if not name.startswith("phases/")}
    config.write({**kept, **phases, "company.toml": head}, folder)
    return folder


def says(text: str = "<INFO> so it is", *entries: Entry) -> Recording:
    return Recording(model="plain", entries=(*entries, Entry(when="", text=text)))


def rows(number: int) -> list[tasks.NamedRow]:
    return list(
        tasks.identities(
            tasks.TaskRow(f"Project {each}", f"task {each}", "odd" if each % 2 else "even") for each in range(number)
        )
    )


@contextlib.asynccontextmanager
async def met(endpoint: str, folder: Path, **environ: str) -> AsyncIterator[Choice]:
    settings = load({"VLLM_ENDPOINT": endpoint, **environ}, folder)
    choice = await choose("VLLM", settings, BreakerRegistry((0.01,), rest=0.001), SharedCostBudget(settings.max_cost))
    try:
        yield choice
    finally:
        await choice.backend.aclose()


async def carried(
    folder: Path,
    named: Iterable[tasks.NamedRow],
    recording: Recording | None = None,
    *manners: FaultSpec,
    jobs: int | None = 4,
    plan: BatchPlan | None = None,
) -> dict[str, Result]:
    """Carry these to their ends in a batch's folder; all results by the projects' names."""
    made = folder / "company"
    plan = plan or BatchPlan(config=str(made if made.exists() else company(made)))
    async with Playback(recording or says(), manners=manners) as endpoint, met(endpoint, folder) as choice:
        with contextlib.closing(Ledger(folder / "batch", plan)) as ledger:
            left = ledger.unfinished(ledger.add(named))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), jobs) as pool:
                await batch.run_projects(pool, ledger, left, lambda result: None, lambda: None)
            return {each.name: each for each in ledger.results.values()}
