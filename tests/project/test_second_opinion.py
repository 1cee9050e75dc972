"""Answers that stay of no use: another endpoint is asked for that phase alone, where its user allows that."""

from pathlib import Path

import msgspec
import pytest
from helpers.support import ANSWERS, recording
from reaching import answers, begun, served

from chatdev import runs, wiring
from chatdev.errors import SettingsError
from chatdev.journal import store
from chatdev.journal.events import Diagnostic
from chatdev.models.choose import choose
from chatdev.models.errors import ServerBroke
from chatdev.playback.faults import FaultSpec
from chatdev.run_options import UNTYPED
from chatdev.settings import load

ALLOWED = {"CHATDEV_SECOND_OPINION": "1"}
LOOPS = "and so on, and so on, and so forth\n" * 200


def bad(place: str, text: str) -> dict[str, str]:
    return {place.replace("ask.1", f"ask.{number}"): text for number in (1, 2, 3)}


CODING = "Coding.1/Programmer.1/ask.1"
MANUAL = "Manual.1/ChiefProductOfficer.1/ask.1"
REVIEW = "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1"


def noted(folder: Path) -> list[str]:
    return [r.event.text for r in store.read(runs.log_of(folder)) if isinstance(r.event, Diagnostic)]


@pytest.mark.parametrize(
    ("place", "text", "finish", "is_asked"),
    [
        pytest.param(CODING, "", "stop", 3, id="empty"),
        pytest.param(CODING, "I would rather talk about the weather.", "stop", 3, id="unusable"),
        pytest.param(CODING, "main.py\n```python\nprint(", "length", 3, id="cut"),
        pytest.param(CODING, LOOPS, "stop", 3, id="looping"),
        pytest.param(MANUAL, "", "stop", 2, id="no document"),
        pytest.param(REVIEW, LOOPS, "stop", 2, id="a looping review"),
    ],
)
async def test_another_endpoint_is_asked_for_that_phase_alone(
    tmp_path: Path, place: str, text: str, finish: str, is_asked: int
) -> None:
    spoilt = bad(place, text)
    first_play = recording(ANSWERS | spoilt, finish=dict.fromkeys(spoilt, finish))
    second_play = recording(
        ANSWERS | {f"{place.rsplit('/', 2)[0]}/second-opinion.1/{'/'.join(place.rsplit('/', 2)[1:])}": ANSWERS[place]}
    )
    async with served(played=first_play) as first, served(played=second_play) as second:
        ran, error, folder = await begun(tmp_path, [first, second], environment=ALLOWED)
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    by = [(answer.place, answer.endpoint) for answer in answers(folder)]
    assert [place for place, endpoint in by if endpoint == second] == [second_play.entries[-1].place]
    assert sum(place.rsplit("/", 1)[0] == answered.rsplit("/", 1)[0] for answered, _ in by) == is_asked
    assert any("retried on another endpoint" in each for each in noted(folder))
    assert "retried on another endpoint" in (folder / "REPORT.md").read_text()


async def test_a_choice_that_no_one_settles_is_put_to_another_endpoint(tmp_path: Path) -> None:
    roles = ("ChiefTechnologyOfficer.1", "ChiefExecutiveOfficer.1", "ChiefTechnologyOfficer.2", "Counselor.1")
    first_play = recording(ANSWERS | {f"LanguageChoose.1/{role}/ask.1": f"It depends, says {role}." for role in roles})
    place = "LanguageChoose.1/second-opinion.1/ChiefTechnologyOfficer.1/ask.1"
    second_play = recording(ANSWERS | {place: "<INFO> Python"})
    async with served(played=first_play) as first, served(played=second_play) as second:
        ran, error, folder = await begun(tmp_path, [first, second], environment=ALLOWED)
    assert error is None and ran is not None and ran.verdict.verdict == "passed"
    assert [answer.place for answer in answers(folder) if answer.endpoint == second] == [place]
    assert not any('"Python" was taken' in each for each in noted(folder))


@pytest.mark.parametrize("endpoints", [1, 2])
async def test_without_leave_or_another_endpoint_nothing_changes(tmp_path: Path, endpoints: int) -> None:
    spoilt = bad(CODING, "")
    async with served(played=recording(ANSWERS | spoilt)) as first, served() as second:
        urls = [first, second][:endpoints]
        ran, error, folder = await begun(tmp_path, urls, environment=ALLOWED if endpoints == 1 else {})
    assert error is None and ran is not None
    assert ran.verdict.verdict == "not run (no program was written)"
    assert {answer.endpoint for answer in answers(folder)} == {first}
    assert not any("another endpoint" in each for each in noted(folder))


async def test_a_run_killed_between_both_opinions_asks_nothing_twice(tmp_path: Path) -> None:
    spoilt = bad(CODING, "")
    place = "Coding.1/second-opinion.1/Programmer.1/ask.1"
    first_play, second_play = recording(ANSWERS | spoilt), recording(ANSWERS | {place: ANSWERS[CODING]})
    other = msgspec.structs.replace(second_play, model="another")
    async with served(played=first_play) as first:
        async with served(FaultSpec(place=place, status=500), played=other) as ill:
            _, error, folder = await begun(tmp_path, [first, ill], environment=ALLOWED)
        assert isinstance(error, ServerBroke)
        before = answers(folder)
        assert [answer.endpoint for answer in before] == [first] * 6
        async with served(played=other) as second:
            ran, error, _ = await begun(tmp_path, [first, second], folder=folder, environment=ALLOWED)
        assert error is None and ran is not None and ran.verdict.verdict == "passed"
        after = answers(folder)
        assert after[:6] == before
        assert [answer.place for answer in after if answer.endpoint == second] == [place]
    # What the log holds of it stands, whether it is allowed now or not.
    async with served() as only:
        ran, error, _ = await begun(tmp_path, [only], folder=folder)
    assert error is None
    assert answers(folder) == after


async def test_the_option_holds_for_every_attempt(tmp_path: Path) -> None:
    folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full", second_opinion=True), tmp_path)
    again = runs.options_of(store.read(runs.log_of(folder)), folder).resumed(UNTYPED)
    assert again.second_opinion
    assert runs.settings_for(again, load({}, tmp_path)).second_opinion
    assert not runs.settings_for(UNTYPED, load({}, tmp_path)).second_opinion


async def test_the_budget_of_the_settings_holds_unless_another_is_typed(tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text("[budget]\ncalls = 3\ntokens = 100000\n")
    async with served() as endpoint:
        settings = load({"VLLM_ENDPOINT": endpoint}, tmp_path)
        found = {}
        for name, typed in (("file", {}), ("typed", {"calls": 7.0})):
            folder = runs.begin(runs.RunRequest(task="greet", name=name, config="full", limits=typed), tmp_path)
            choice = await choose("VLLM", settings)
            found[name] = (await wiring.work(folder, choice)).verdict, len(answers(folder))
            await choice.backend.aclose()
    assert found == {"file": ("not run (no program was written)", 3), "typed": ("passed", 7)}


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("calls = 0", "budget.calls"),
        ('tokens = "many"', "budget.tokens"),
        ("minutes = -1", "budget.minutes"),
        ("money = 1", "money"),
    ],
)
def test_a_budget_that_cannot_be_is_named(tmp_path: Path, budget: str, expected: str) -> None:
    (tmp_path / "chatdev.toml").write_text(f"[budget]\n{budget}\n")
    with pytest.raises(SettingsError, match=expected):
        load({}, tmp_path)


def test_keys_of_other_services_are_known_to_the_redactor(tmp_path: Path) -> None:
    settings = load({"HF_TOKEN": "hf_abcdefghij0123456789", "HUGGING_FACE_HUB_TOKEN": " "}, tmp_path)
    assert "hf_abcdefghij0123456789" in settings.secrets
    assert runs.redactor(settings).text("x hf_abcdefghij0123456789") == "x ***"
