"""What several rooms' tests need: a run of a whole company against playback, over real HTTP."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from chatdev import runs, wiring
from chatdev.journal import store
from chatdev.journal.events import VerdictReached
from chatdev.journal.store import Record
from chatdev.models.choose import choose
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.sandbox.local import LocalSandbox
from chatdev.settings import load

T = TypeVar("T")

TESTS = """tests/test_acceptance.py
```python
import unittest

import words


class Greeting(unittest.TestCase):
    def test_greets(self):
        self.assertEqual(words.greeting(), "hello")
```
"""
WORDS = '''words.py
```python
"""Words."""


def greeting():
    """The greeting."""
    return "hello"
```
'''
MAIN = '''main.py
```python
"""Greets."""
from words import greeting

print(greeting())
```
'''
UNHEARD_OF = MAIN.replace("\nprint", "\ntry:\n    import unheardof\nexcept ImportError:\n    pass\nprint")
"""The program with an import that only its programmer can name the package of."""
PACKAGES = "together.1/EnvironmentDoc.1/Programmer.1/ask.1"
"""Where the programmer is asked for the packages, if the imports do not tell them."""
ANSWERS = {
    "DemandAnalysis.1/ChiefProductOfficer.1/ask.1": "A small one.\n<INFO> command line",
    "LanguageChoose.1/ChiefTechnologyOfficer.1/ask.1": "<INFO> Python",
    "TestWriting.1/SoftwareTestEngineer.1/ask.1": TESTS,
    "Coding.1/Programmer.1/ask.1": f"{WORDS}\n{MAIN}",
    "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1": "<INFO> Finished",
    "CodeReview.1/RobustnessReview.1/CodeReviewer.1/ask.1": "<INFO> Finished",
    "Manual.1/ChiefProductOfficer.1/ask.1": "manual.md\n````markdown\n# Greeting\n\nRun main.py.\n````\n",
}
"""A whole run of the company ``full`` that passes, in the fewest words."""
SKETCH = "Sketch.1/Programmer.1/ask.1"
TAKES_INPUT = "```python\nprint(input())\n```"
"""A sketch that tells nothing: its program wants input."""
ROWS = "ExampleWriting.1/SoftwareTestEngineer.1/ask.1"
DRAFT = "Drafting.1/candidate.{}/Programmer.1/ask.1"
"""Where a candidate of the company ``default`` writes its program."""
REPAIR = "Drafting.1/candidate.{}/Programmer.2/ask.1"
"""Where it writes it again, after it broke."""
DRAFTED = {
    SKETCH: TAKES_INPUT,
    ROWS: "```\n$ python3 main.py\nhello\n```",
    "Drafting.1/Programmer.1/ask.1": '```python\n"""Greets."""\nprint("hello")\n```',
    "Manual.1/ChiefProductOfficer.1/ask.1": ANSWERS["Manual.1/ChiefProductOfficer.1/ask.1"],
}
"""A whole run of the company ``default`` that passes, in the fewest words."""


def recording(answers: dict[str, str], *, finish: dict[str, str] | None = None, window: int = 16384) -> Recording:
    """A recording from answers by place; ``finish`` gives other finish reasons by place. Where a tester writes rows and
    nothing is said of a sketch, it tells nothing."""
    if ROWS in answers:
        answers = {SKETCH: TAKES_INPUT} | answers
    entries = [Entry(place=p, text=text, finish=(finish or {}).get(p, "stop")) for p, text in answers.items()]
    return Recording(model="recorded", window=window, task="greet", name="Greeting", entries=tuple(entries))


class Ran(msgspec.Struct, frozen=True):
    """What came of a run."""

    folder: Path
    verdict: VerdictReached
    records: tuple[Record, ...]

    def events(self, kind: type[T]) -> list[T]:
        return [record.event for record in self.records if isinstance(record.event, kind)]


async def run(
    warehouse: Path,
    played: Recording,
    *manners: FaultSpec,
    folder: Path | None = None,
    config: str = "full",
    task: str = "greet",
    environ: Mapping[str, str] = MappingProxyType({}),
    candidates: int = 0,
    effort: str = "",
    settings: tuple[str, ...] = (),
    isolated: bool = False,
) -> Ran:
    """Run a company on a recording, from the start or on from ``folder``; ``environ`` holds settings of its user.

    The products are our own, so their programs run within limits and, unless they are ``isolated``, with no isolation,
    which takes half of the processor time.
    """
    async with Playback(played, manners=manners) as endpoint:
        given = load({"VLLM_ENDPOINT": endpoint, **environ}, warehouse)
        choice = await choose("VLLM", given)
        order = runs.RunRequest(
            task=task, name="Greeting", config=config, candidates=candidates, effort=effort, settings=settings
        )
        try:
            folder = folder or runs.begin(order, warehouse, settings=given)
            verdict = await wiring.work(folder, choice, sandbox=None if isolated else LocalSandbox())
        finally:
            await choice.backend.aclose()
    return Ran(folder, verdict, store.read(runs.log_of(folder)))
