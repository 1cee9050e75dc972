"""What does not depend on each other runs together, at the places that it would have one after another."""

import asyncio
from pathlib import Path

import pytest
from helpers.support import ANSWERS, MAIN, WORDS, Ran, recording, run

from chatdev import runs
from chatdev.company.config import CompanyError, find, from_sources, read, write
from chatdev.company.drawing import mermaid, tree
from chatdev.company.steps import ChainStep, groups
from chatdev.journal.events import Diagnostic, LimitReached, MessageStored, ModelAnswered
from chatdev.models.choose import choose
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.settings import load

FIRST, SECOND = "DemandAnalysis.1", "LanguageChoose.1"
COMPLETE = "CodeCompleteAll.1/CodeComplete.1/Programmer.1/ask.1"
OTHER = "CodeCompleteAll.1/CodeComplete.1/beside.1/Programmer.1/ask.1"
STUBS = {
    "Coding.1/Programmer.1/ask.1": (
        f"{WORDS.replace(chr(34) + 'hello' + chr(34), 'NAME').replace('return NAME', 'pass')}\n"
        f'names.py\n```python\n"""Names."""\n\n\ndef name():\n    """A name."""\n    pass\n```\n\n{MAIN}'
    )
}
NAMES = 'names.py\n```python\n"""Names."""\n\n\ndef name():\n    """A name."""\n    return "Ann"\n```\n'


def company(tmp_path: Path, old: str, new: str) -> str:
    sources = read(find("full"))
    assert old in sources["company.toml"]
    write({**sources, "company.toml": sources["company.toml"].replace(old, new)}, tmp_path / "company")
    return str(tmp_path / "company")


def asked(ran: Ran, place: str) -> str:
    stored = {message.id: message.content for message in ran.events(MessageStored)}
    call = next(call for call in ran.events(ModelAnswered) if call.place == place)
    return stored[call.messages[-1]]


async def overlap(tmp_path: Path, config: str, places: tuple[str, str], answers: dict[str, str]) -> Ran:
    """A run in which both calls must have been in flight at once: each is silent until the other was asked."""
    order = runs.RunRequest(task="greet", name="Greeting", config=config)
    silent = [FaultSpec(place=place, fault="stall", attempt=1) for place in places]
    server = Playback(recording(ANSWERS | answers), manners=silent)
    async with server as endpoint:
        settings = load({"VLLM_ENDPOINT": endpoint}, tmp_path)
        choice = await choose("VLLM", settings)
        folder = runs.begin(order, tmp_path, settings=settings)
        from chatdev import wiring

        work = asyncio.ensure_future(wiring.work(folder, choice))
        async with asyncio.timeout(30):
            while server.in_flight < 2:
                await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await choice.backend.aclose()
    return await run(tmp_path, recording(ANSWERS | answers), folder=folder)


def test_steps_that_are_beside_others_begin_with_them() -> None:
    a, b, c, d = (
        ChainStep(phase="A"),
        ChainStep(phase="B", with_previous=True),
        ChainStep(phase="C"),
        ChainStep(phase="D", with_previous=True),
    )
    assert list(groups((a, b, c, d))) == [(a, b), (c, d)]
    assert list(groups(())) == []


async def test_a_step_beside_another_is_in_flight_with_it_and_keeps_its_place(tmp_path: Path) -> None:
    config = company(tmp_path, 'phase = "TestWriting"', 'phase = "TestWriting"\nwith_previous = false')
    ran = await overlap(tmp_path, config, (FIRST, SECOND), {})
    assert ran.verdict.verdict == "passed"
    places = {call.place for call in ran.events(ModelAnswered)}
    assert set(ANSWERS) == places


async def test_every_unfinished_file_is_completed_at_once(tmp_path: Path) -> None:
    ran = await overlap(
        tmp_path,
        "full",
        (COMPLETE.rpartition("/Pro")[0] + "/Programmer.1", OTHER),
        STUBS | {COMPLETE: WORDS, OTHER: NAMES},
    )
    assert ran.verdict.verdict == "passed"
    assert "`words.py` is not finished" in asked(ran, COMPLETE)
    assert "`names.py` is not finished" in asked(ran, OTHER)
    assert 'return "Ann"' in (ran.folder / "names.py").read_text()
    assert "CodeCompleteAll.2" not in "".join(call.place for call in ran.events(ModelAnswered))


async def test_a_file_that_stays_unfinished_is_given_up_by_itself(tmp_path: Path) -> None:
    stub = STUBS["Coding.1/Programmer.1/ask.1"].partition("names.py")[2].partition("main.py")[0]
    again = {OTHER: f"names.py{stub}", COMPLETE: WORDS, COMPLETE.replace("All.1", "All.2"): f"names.py{stub}"}
    ran = await run(tmp_path, recording(ANSWERS | STUBS | again))
    notes = [note.text for note in ran.events(Diagnostic) if "unfinished" in note.text]
    assert len(notes) == 1
    assert notes[0].startswith("CodeComplete: names.py is still unfinished")
    assert ran.verdict.verdict == "passed"


async def test_a_limit_that_stops_one_file_keeps_what_the_other_became(tmp_path: Path) -> None:
    config = company(tmp_path, 'name = "full"', 'name = "full"\nbudget = { calls = 5 }')
    ran = await run(tmp_path, recording(ANSWERS | STUBS | {COMPLETE: WORDS, OTHER: NAMES}), config=config)
    assert len(ran.events(ModelAnswered)) == 5
    assert ran.events(LimitReached)[0].place == OTHER
    assert 'return "hello"' in (ran.folder / "words.py").read_text()
    assert ran.verdict.verdict == "passed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('phase = "DemandAnalysis"', 'phase = "DemandAnalysis"\nwith_previous = true'),
        ('steps = [{ run = "tests" }', 'steps = [{ run = "tests", with_previous = true }'),
        ('parallel = [{ run = "start" }', 'parallel = [{ run = "start", with_previous = true }'),
    ],
)
def test_what_is_beside_nothing_is_reported(old: str, new: str) -> None:
    sources = read(find("full"))
    assert old in sources["company.toml"]
    with pytest.raises(CompanyError, match="with_previous"):
        from_sources({**sources, "company.toml": sources["company.toml"].replace(old, new, 1)})


def test_drawings_show_what_begins_together() -> None:
    company = from_sources(read(find("full")))
    line = next(line for line in tree(company).splitlines() if "LanguageChoose" in line)
    assert line.endswith("sets language), in parallel with the step before it")
    lines = [line.strip() for line in mermaid(company).splitlines()]
    assert "s0_0 --> s2" in lines
    assert "s1_0 --> s2" in lines
