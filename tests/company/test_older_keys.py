"""Companies with the older names of renamed keys still load, run and resume."""

from pathlib import Path

import pytest
from helpers.support import recording, run

from chatdev.company import adapt, config
from chatdev.company.config import CompanyError
from chatdev.company.drawing import tree
from chatdev.journal.events import FileWritten, ModelAnswered, PhaseEnded
from chatdev.models.errors import ModelError
from chatdev.playback.faults import FaultSpec

OLDER = Path(__file__).parent / "older_keys"
CODING, MANUAL = "Coding.1/Programmer.1/ask.1", "together.1/Manual.1/Chief.1/ask.1"
ANSWERS = {
    CODING: 'main.py\n```python\nprint("hello")\n```\n',
    MANUAL: "manual.md\n```markdown\n# Hello\n\nStart it with `python3 main.py`.\n```\n",
}


def test_a_folder_with_the_older_keys_is_the_company_with_the_present_ones() -> None:
    sources = config.read(OLDER)
    renamed = {
        name: text.replace("beside = ", "with_previous = ").replace("together = ", "parallel = ")
        .replace("otherwise = ", "default = ")
        for name, text in sources.items()
    }  # fmt: skip
    assert renamed != sources
    older, present = config.from_sources(sources), config.from_sources(renamed)
    assert (older.chain, older.phases) == (present.chain, present.phases)
    assert [step.with_previous for step in older.chain] == [False, True, False, False, False]
    assert older.chain[3].steps[1].with_previous
    assert [step.name for step in older.chain[4].parallel] == ["start", "Manual"]
    assert older.phases["Choose"].default == "console"
    assert adapt.at(older, "high").phases["Choose"].default == "web"
    assert tree(older) == tree(present)


async def test_it_runs_and_resumes(tmp_path: Path) -> None:
    refused = FaultSpec(place=MANUAL.rpartition("/ask")[0], unauthorized="string")
    with pytest.raises(ModelError):
        await run(tmp_path, recording(ANSWERS), refused, config=str(OLDER))
    (folder,) = {path.parent.parent for path in tmp_path.glob("*/.chatdev/events.jsonl")}
    assert "otherwise" in (folder / ".chatdev/company/phases/Choose.md").read_text()
    ran = await run(tmp_path, recording(ANSWERS), folder=folder)
    assert ran.verdict.verdict == "starts (not tested)"
    assert [call.place for call in ran.events(ModelAnswered)] == [CODING, MANUAL]
    assert [written.path for written in ran.events(FileWritten)] == ["main.py", "manual.md"]
    concluded = {ended.phase: ended.conclusion for ended in ran.events(PhaseEnded)}
    assert (concluded["Choose"], concluded["Settle"]) == ("console", "small")


async def test_an_option_may_use_them(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS), config=str(OLDER), settings=("Choose.otherwise=web", "together=off"))
    assert {ended.phase: ended.conclusion for ended in ran.events(PhaseEnded)}["Choose"] == "web"
    assert [call.place for call in ran.events(ModelAnswered)] == [CODING]


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("company.toml", "beside = true\n", "beside = true\nwith_previous = true\n", "with_previous"),
        ("company.toml", "together = [", "parallel = [{ run = 'tests' }]\ntogether = [", "parallel"),
        ("phases/Choose.md", 'otherwise = "console"', 'otherwise = "console"\ndefault = "web"', "default"),
    ],
)
def test_both_names_of_one_key_are_refused(file: str, old: str, new: str, what: str) -> None:
    sources = config.read(OLDER)
    assert old in sources[file]
    with pytest.raises(CompanyError, match=f"{file}: .* is the older name of {what}; use only one"):
        config.from_sources({**sources, file: sources[file].replace(old, new, 1)})
