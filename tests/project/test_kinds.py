"""A kind of phase is a function and a row: adding one changes nothing else."""

from pathlib import Path

import pytest
from helpers.support import recording, run

from chatdev.company import config
from chatdev.company.config import CompanyError
from chatdev.company.kinds import KINDS, Kind
from chatdev.journal.events import ModelAnswered, PhaseEnded
from chatdev.project.context import PhaseContext
from chatdev.project.kinds import PERFORMERS
from chatdev.project.phase_result import PhaseResult

OLDER = Path(__file__).parent.parent / "company/older_keys"
CODING = "Coding.1/Programmer.1/ask.1"
ASKED = "Settle.1/Programmer.1/ask.1"


def test_each_kind_that_a_company_can_name_is_performed() -> None:
    assert set(PERFORMERS) == set(KINDS)


def test_each_kind_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/companies.md").read_text()
    assert [kind for kind in KINDS if f"\n| `{kind}` | " not in text] == []


async def shout(context: PhaseContext) -> PhaseResult:
    """Keeps the answer in capital letters."""
    role = context.phase.assistant
    answer = await context.ask(role, 1, 1, context.participant(role).beginning)
    return PhaseResult(context.state.with_value("cry", answer.text.upper()), answer.text.upper())


async def test_a_new_kind_is_one_function_and_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "shout", Kind(needs=("sets",)))
    monkeypatch.setitem(PERFORMERS, "shout", shout)
    sources = config.read(OLDER)
    head = '+++\nassistant = "Programmer"\nuser = "Chief"\nkind = "shout"\nsets = "cry"\n+++\nShout.\n'
    config.write({**sources, "phases/Settle.md": head}, tmp_path / "company")
    answers = {ASKED: "hello", CODING: 'main.py\n```python\nprint("hello")\n```\n'}
    ran = await run(tmp_path, recording(answers), config=str(tmp_path / "company"), settings=("together=off",))
    assert [call.place for call in ran.events(ModelAnswered)] == [ASKED, CODING]
    assert {ended.phase: ended.conclusion for ended in ran.events(PhaseEnded)}["Settle"] == "HELLO"
    with pytest.raises(CompanyError, match="sets: expected the name of the conclusion"):
        config.from_sources({**sources, "phases/Settle.md": head.replace('sets = "cry"\n', "")})


def test_an_unknown_kind_is_refused_with_the_ones_there_are() -> None:
    sources = config.read(OLDER)
    text = sources["phases/Coding.md"].replace('kind = "code"', 'kind = "song"')
    with pytest.raises(CompanyError, match=r"Coding.md: kind: expected one of talk, choice, .*, found \"song\""):
        config.from_sources({**sources, "phases/Coding.md": text})
