"""Whole runs on several endpoints: who answered, what it cost, and what a resume may meet."""

from pathlib import Path

import msgspec
import pytest
from helpers.support import ANSWERS, recording
from reaching import PLAYED, answers, begun, served

from chatdev import runs, wiring
from chatdev.journal import store
from chatdev.journal.events import AttemptStarted, LimitReached, RunStarted
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.choose import choose
from chatdev.models.errors import ServerBroke, Unreachable
from chatdev.models.types import Target
from chatdev.playback.faults import FaultSpec
from chatdev.run_options import UNTYPED, RunOptions
from chatdev.settings import load

WELL = "Coding.1"
LUNA = msgspec.structs.replace(PLAYED, model="gpt-6-luna")
"""A model of OpenAI's whose price is known."""


def notes(folder: Path) -> list[str]:
    """What was said of the endpoints before the first call of each attempt."""
    records = store.read(runs.log_of(folder))
    remarks = [note for r in records if isinstance(r.event, AttemptStarted) for note in r.event.notes]
    return [note for note in remarks if not note.startswith("Effort: ")]


async def test_a_run_falls_back_goes_back_and_tells_it_call_by_call(tmp_path: Path) -> None:
    ill = [FaultSpec(place=place, status=500) for place in ("LanguageChoose.1", "TestWriting.1", "CodeReview.1")]
    async with served(*ill) as first, served() as second:
        ran, error, folder = await begun(tmp_path, [first, second], breakers=BreakerRegistry((), rest=0.0))
    assert error is None and ran is not None
    assert ran.verdict.verdict == "passed"
    elsewhere = [answer.place.split("/")[0] for answer in answers(folder) if answer.endpoint == second]
    assert elsewhere == ["LanguageChoose.1", "TestWriting.1", "CodeReview.1", "CodeReview.1"]
    report = (folder / "REPORT.md").read_text()
    assert "Endpoint failures: 4 of 7 calls fell back" in report
    assert f"- 4 calls: {first}: The server failed (HTTP status 500)" in report.replace("\\", "")


async def test_a_server_that_stops_for_good_in_the_middle_is_replaced(tmp_path: Path) -> None:
    first, second = served(), served()
    async with second as good:
        bad = await first.start()
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": f"{bad}, {good}"}, tmp_path), BreakerRegistry((), 3600))
        folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), tmp_path)
        ask = choice.backend.complete

        async def and_stop(*given: object, **more: object) -> object:
            answer = await ask(*given, **more)  # type: ignore[arg-type]
            await first.stop()
            return answer

        choice.backend.complete = and_stop  # type: ignore[method-assign, assignment]
        verdict = await wiring.work(folder, choice)
        await choice.backend.aclose()
    assert verdict.verdict == "passed"
    found = [answer.endpoint for answer in answers(folder)]
    assert found[0] == bad  # and it may have answered the call beside that one, too
    assert found[2:] == [good] * (len(ANSWERS) - 2)
    assert (
        "connection refused" in answers(folder)[-1].tried[0] or "closed the connection" in answers(folder)[-1].tried[0]
    )


async def test_a_resume_may_meet_another_endpoint_and_asks_nothing_twice(tmp_path: Path) -> None:
    async with served(FaultSpec(place=WELL, status=500)) as first:
        _, error, folder = await begun(tmp_path, [first])
    assert isinstance(error, ServerBroke)
    before = len(answers(folder))
    other = msgspec.structs.replace(PLAYED, model="another", window=8192)
    async with served(played=other) as second:
        ran, error, _ = await begun(tmp_path, [second], folder=folder)
    assert error is None and ran is not None and ran.verdict.verdict == "passed"
    assert [answer.model for answer in answers(folder)] == ["recorded"] * before + ["another"] * (len(ANSWERS) - before)


async def test_an_endpoint_with_a_larger_window_takes_what_does_not_fit(tmp_path: Path) -> None:
    small = recording(ANSWERS, window=500)
    async with served(played=small) as first, served() as second:
        ran, error, folder = await begun(tmp_path, [first, second])
    assert error is None and ran is not None and ran.verdict.verdict == "passed"
    taken = [answer for answer in answers(folder) if answer.endpoint == second]
    assert taken and all("does not fit" in answer.tried[0] for answer in taken)


async def test_openai_answers_while_no_server_of_the_users_own_does_and_the_header_says_so(tmp_path: Path) -> None:
    key = {"OPENAI_API_KEY": "sk-proj-4711", "OPENAI_MODEL": "gpt-6-luna"}
    async with served(FaultSpec(place=WELL, status=500)) as own, served(played=LUNA) as cloud:
        ran, error, folder = await begun(tmp_path, [own], environment=key | {"OPENAI_BASE_URL": cloud})
    assert error is None and ran is not None and ran.verdict.verdict == "passed"
    assert [answer.endpoint for answer in answers(folder)].count(cloud) == 1
    assert notes(folder) == [f"If none of your servers answers, OpenAI is used instead: gpt-6-luna at {cloud}."]


async def paid(warehouse: Path, max_cost: str, folder: Path | None = None) -> tuple[object, object, Path]:
    """A run that OpenAI answers. Its address is OpenAI's own; a proxy leads to a server of ours."""
    async with served(played=LUNA) as cloud:
        toml = f'proxy = "{cloud.removesuffix("/v1")}"\nmax_cost = {max_cost}\n'
        key = {"OPENAI_API_KEY": "sk-proj-4711", "OPENAI_BASE_URL": "http://api.openai.com/v1"}
        key["VLLM_MODEL_NAME"] = "not-served-there"
        return await begun(warehouse, ["http://gpu:8000/v1"], toml=toml, folder=folder, environment=key)


async def test_what_openai_takes_is_counted_and_bounded_over_all_attempts(tmp_path: Path) -> None:
    ran, error, folder = await paid(tmp_path, "0.0024")
    assert error is None and ran is not None  # what there is was delivered and judged
    (limit,) = [record.event for record in store.read(runs.log_of(folder)) if isinstance(record.event, LimitReached)]
    assert (limit.limit, limit.at_most) == ("cost", 0.0024)
    first = answers(folder)
    spent = sum(answer.cost or 0.0 for answer in first)
    assert 0 < spent < 0.0024
    assert "calls cost money, $0.0024 at most; --local-only forbids that" in " ".join(notes(folder))
    further = runs.fork(folder, "LanguageChoose", tmp_path)
    ran, error, _ = await paid(tmp_path, "1", further)
    assert error is None and ran is not None
    assert len(answers(further)) == len(ANSWERS)


async def test_local_only_forbids_openai_now_and_at_each_resume(tmp_path: Path) -> None:
    key = {"OPENAI_API_KEY": "sk-proj-4711"}
    async with served(FaultSpec(place=WELL, status=500)) as own:
        _, error, folder = await begun(tmp_path, [own], toml="chatdev_local_only = true", environment=key)
    assert isinstance(error, ServerBroke) and notes(folder) == []
    with pytest.raises(Unreachable):
        await begun(tmp_path, [own], folder=folder, environment=key | {"CHATDEV_LOCAL_ONLY": "1"})
    begun_so = RunStarted(1, "", "", "", "", "", "", "VLLM", endpoints=("gpu:1",), local_only=True, max_cost=2.0)
    assert begun_so.resumed(UNTYPED) == RunOptions(endpoints=("gpu:1",), local_only=True, max_cost=2.0)
    again = begun_so.resumed(RunOptions(endpoints=("gpu:2", "gpu:3"), max_cost=3.0))
    settings = runs.settings_for(again, load(key, tmp_path))
    assert settings.endpoints == ("http://gpu:2/v1", "http://gpu:3/v1")
    assert (settings.local_only, settings.max_cost) == (True, 3.0)


async def test_a_colleague_is_served_by_whichever_endpoint_serves_it_and_shares_what_is_known(tmp_path: Path) -> None:
    coder = msgspec.structs.replace(PLAYED, model="coder")
    async with served() as first, served(played=coder) as second:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": f"{first},{second}"}, tmp_path))
        other = await choice.colleague(Target("coder"))
        assert (other.facts.base_url, other.facts.model) == (second, "coder")
        assert other.breakers is choice.breakers and other.cost_budget is choice.cost_budget
        await other.backend.aclose()
        await choice.backend.aclose()
