"""Every fault that a server can show, in whole runs: alone, once in the middle, and beside an endpoint that is well."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.support import ANSWERS, recording
from reaching import HASTY, answers, at_all_places, begun, served

from chatdev import runs
from chatdev.journal import store
from chatdev.journal.events import AttemptStopped
from chatdev.models import errors
from chatdev.models.errors import ModelError
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording


class Fault(msgspec.Struct, frozen=True):
    """A fault by its manner, the error that it is, and words that the receipt has for it."""

    manner: dict[str, Any]
    error: type[ModelError]
    words: str
    toml: str = ""


PASSING = {
    "500": Fault({"status": 500}, errors.ServerBroke, "failed (HTTP status 500)"),
    "503": Fault({"status": 503}, errors.Overloaded, "is overloaded"),
    "429": Fault({"status": 429}, errors.Overloaded, "is overloaded"),
    "429 with Retry-After": Fault({"status": 429, "retry_after": 0.02}, errors.Overloaded, "is overloaded"),
    "408": Fault({"status": 408}, errors.Stalled, "timed out waiting"),
    "reset before headers": Fault({"reset": "request"}, errors.ServerBroke, "closed the connection without an answer"),
    "reset after headers": Fault({"reset": "headers"}, errors.ServerBroke, ""),
    "reset in the middle": Fault({"fault": "drop", "after": 3}, errors.CutShort, "broke after 3 chunks"),
    "a web page": Fault({"html": True}, errors.NotAModelServer, "a web page"),
    "half of the JSON": Fault({"plain_json": True, "fault": "half"}, errors.ServerBroke, "its answer cannot be read"),
    "half of an event": Fault({"fault": "half"}, errors.ModelError, ""),
    "an error in the stream": Fault({"fault": "error", "after": 3}, errors.ServerBroke, "EngineCore"),
    "no finish reason": Fault({"fault": "cut"}, errors.CutShort, "chunks without a finish reason"),
    "silence": Fault({"fault": "stall", "after": 0}, errors.Stalled, "sent no first token", HASTY),
    "silence in the middle": Fault({"fault": "stall", "after": 2}, errors.Stalled, "sent nothing for", HASTY),
    "a byte at a time": Fault({"fault": "trickle", "after": 0, "per_token": 0.2}, errors.Stalled, "no first", HASTY),
    "pieces for ever": Fault({"fault": "repeat", "per_token": 0.2}, errors.Stalled, "did not finish within", HASTY),
}
LASTING = {
    "401 as a string": Fault({"unauthorized": "string"}, errors.KeyRefused, "needs an API key: Unauthorized"),
    "401 as an object": Fault({"unauthorized": "object"}, errors.KeyRefused, "needs an API key: Incorrect API key"),
    "403": Fault({"status": 403}, errors.KeyRefused, "needs an API key"),
    "404": Fault({"status": 404}, errors.NotAModelServer, ""),
    "400": Fault({"status": 400}, errors.RequestRefused, "refused the request"),
}
FAULTS = PASSING | LASTING


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_that_stays_ends_the_run_and_invents_no_answer(tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    async with served(*at_all_places(**fault.manner)) as url:
        ran, error, folder = await begun(tmp_path, [url], toml=fault.toml)
    assert ran is None and isinstance(error, fault.error)
    assert fault.words in str(error)
    assert answers(folder) == []
    report = (folder / "REPORT.md").read_text()
    assert report.startswith("# Not finished: ")
    assert not list(folder.glob("*.py"))


async def test_an_endless_repetition_is_left_early_and_taken_as_far_as_it_is_of_use(tmp_path: Path) -> None:
    async with served(FaultSpec(place="LanguageChoose.1", fault="repeat")) as url:
        ran, error, folder = await begun(tmp_path, [url])
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    (answer,) = [each for each in answers(folder) if each.stopped]
    assert answer.place.startswith("LanguageChoose.1/")
    assert (answer.finish_reason, answer.stopped, answer.tries) == ("length", "the model repeated itself", 1)


PARTS = [list(PASSING)[start::3] for start in range(3)]


@pytest.mark.parametrize("names", PARTS, ids=["first", "second", "third"])
async def test_faults_in_the_middle_of_a_run_are_recovered_from(tmp_path: Path, names: list[str]) -> None:
    once = [name for name in names if name != "pieces for ever"]  # which takes all the time that a call may take
    faults = dict(zip(ANSWERS, once, strict=False))
    manners = [FaultSpec(place=place, attempt=1, **PASSING[name].manner) for place, name in faults.items()]
    async with served(*manners) as url:
        ran, error, folder = await begun(tmp_path, [url], toml=HASTY)
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    for answer in answers(folder):
        name = faults.get(answer.place, "")
        requests = (2 if name else 1) + (name == "reset before headers")  # it could have been a stale connection
        assert (answer.tries, len(answer.tried)) == (requests, bool(name))
        assert all(why.startswith(f"{url}: ") and PASSING[name].words in why for why in answer.tried)
        assert answer.passed_over == ()
    assert "Endpoint failures: 0 of 7 calls fell back" in (folder / "REPORT.md").read_text()


@pytest.mark.parametrize("names", [*PARTS, *([name] for name in LASTING)], ids=lambda names: f"{names[0]}, …")
async def test_beside_an_endpoint_that_is_well_the_run_passes_and_says_who_answered(
    tmp_path: Path, names: list[str]
) -> None:
    faults = dict(zip(ANSWERS, 8 * names, strict=False))
    manners = [FaultSpec(place=place, **FAULTS[name].manner) for place, name in faults.items()]
    async with served(*manners) as bad, served() as good:
        ran, error, folder = await begun(tmp_path, [bad, good], toml=HASTY)
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    assert {answer.endpoint for answer in answers(folder)} == {good}
    for answer in answers(folder):
        (why,) = answer.passed_over
        assert why.startswith(f"{bad}: ") and (
            FAULTS[faults[answer.place]].words in why or "circuit breaker open" in why
        )
    report = (folder / "REPORT.md").read_text()
    assert "Endpoint failures: 7 of 7 calls fell back" in report
    assert bad in report.partition("Endpoint failures")[2].partition("## ")[0]


@pytest.mark.parametrize("manner", [{"empty": True}, {"empty": True, "null_content": True}], ids=["empty", "null"])
async def test_an_answer_that_says_nothing_is_asked_for_again(tmp_path: Path, manner: dict[str, Any]) -> None:
    place = "Coding.1/Programmer.1/ask.1"
    played = recording(ANSWERS | {place.replace("ask.1", "ask.2"): ANSWERS[place]})
    async with served(FaultSpec(place=place, **manner), played=played) as url:
        ran, error, folder = await begun(tmp_path, [url])
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    assert [answer.text for answer in answers(folder) if answer.place == place] == [""]
    assert "**asked again**" in (folder / "REPORT.md").read_text()


@pytest.mark.parametrize("manner", [{"empty": True}, {"empty": True, "null_content": True}], ids=["empty", "null"])
async def test_a_model_that_never_says_anything_delivers_nothing(tmp_path: Path, manner: dict[str, Any]) -> None:
    played = Recording(model="recorded", entries=(Entry(when="", text="never said"),))
    async with served(FaultSpec(**manner), played=played) as url:
        ran, error, folder = await begun(tmp_path, [url])
    assert error is None and ran is not None
    assert ran.verdict.verdict.startswith("not run")
    assert all(answer.text == "" for answer in answers(folder))
    assert not list(folder.glob("*.py"))


async def test_a_looping_answer_is_cut_at_the_limit_and_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    looping = recording(ANSWERS | {"Coding.1/Programmer.1/ask.1": "x = 1\n" * 20_000})
    async with served(played=looping) as url:
        _, _, folder = await begun(tmp_path, [url])
    (answer,) = [each for each in answers(folder) if each.place == "Coding.1/Programmer.1/ask.1"]
    assert answer.finish_reason == "length"
    assert "**stopped early**: " in (folder / "REPORT.md").read_text()


async def test_the_stop_is_logged_with_its_error(tmp_path: Path) -> None:
    async with served(*at_all_places(status=500)) as url:
        _, _, folder = await begun(tmp_path, [url])
    (stopped,) = [r.event for r in store.read(runs.log_of(folder)) if isinstance(r.event, AttemptStopped)]
    assert stopped.error == "ServerBroke" and "2 requests within" in stopped.why
