"""Another model for a role or a phase: asked where it is served, told in the report, and sent no key of another's."""

from pathlib import Path

import msgspec
import pytest
from helpers.support import ANSWERS, PACKAGES, UNHEARD_OF, WORDS, Ran, recording

from chatdev import runs, wiring
from chatdev.company import config
from chatdev.company.config import CompanyError
from chatdev.errors import UserError
from chatdev.journal import store
from chatdev.journal.events import AttemptStarted, ModelAnswered
from chatdev.models import address as addresses
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.choose import assignments, choose
from chatdev.models.errors import ModelNotServed, Unreachable
from chatdev.models.types import Target
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Recording
from chatdev.playback.server import Playback
from chatdev.run_options import RunOptions
from chatdev.settings import Secret, Settings, load

PLAYED = recording(ANSWERS)
CODER = Recording(model="coder", window=16384, task="greet", entries=PLAYED.entries)


async def ran(
    warehouse: Path, *role_models: str, folder: Path | None = None, again: tuple[str, ...] = (), **settings: str
) -> Ran:
    """A run on a server that serves "recorded"; ``{coder}`` in a model's name is another server's, with "coder"."""
    async with Playback(PLAYED) as url, Playback(CODER, manners=(FaultSpec(api_key="coders-key"),)) as coder:
        if settings.pop("toml", ""):
            (warehouse / "chatdev.toml").write_text(f'[keys]\n"{coder}" = "coders-key"\n')
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": url} | settings, warehouse))
        try:
            typed = tuple(each.format(coder=coder, own=url) for each in role_models)
            order = runs.RunRequest(task="greet", name="Greeting", config="full", role_models=typed)
            folder = folder or runs.begin(order, warehouse)
            again = tuple(each.format(coder=coder, own=url) for each in again)
            verdict = await wiring.work(folder, choice, RunOptions(role_models=again))
        finally:
            await choice.backend.aclose()
    return Ran(folder, verdict, store.read(runs.log_of(folder)))


def asked(run: Ran) -> dict[str, set[str]]:
    """By model, the roles that it answered for."""
    found: dict[str, set[str]] = {}
    for event in run.events(ModelAnswered):
        found.setdefault(event.model, set()).add(event.role)
    return found


async def test_a_role_is_answered_by_the_model_that_was_named_for_it(tmp_path: Path) -> None:
    run = await ran(tmp_path, "programmer=coder@{coder}", toml="yes")
    assert run.verdict.verdict == "passed"
    assert asked(run)["coder"] == {"Programmer"}
    assert "Programmer" not in asked(run)["recorded"]
    report = (run.folder / "REPORT.md").read_text()
    row = next(line for line in report.splitlines() if line.startswith("| Programmer |"))
    assert "coder" in row
    (attempt,) = run.events(AttemptStarted)
    assert any(note.startswith("Programmer: coder at http://127.0.0.1:") for note in attempt.notes)


async def test_a_phase_comes_before_a_role_and_an_endpoint_may_stand_alone(tmp_path: Path) -> None:
    run = await ran(tmp_path, "Programmer=recorded", "Coding=@{coder}", toml="yes")
    answered = {event.place.split(".")[0]: event.model for event in run.events(ModelAnswered)}
    assert answered["Coding"] == "coder"
    assert asked(run)["coder"] == {"Programmer"}


async def test_a_company_may_name_a_model_for_a_role(tmp_path: Path) -> None:
    async with Playback(PLAYED) as url, Playback(CODER) as coder:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": url}, tmp_path))
        folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), tmp_path)
        toml = folder / runs.HIDDEN / "company" / "company.toml"
        toml.write_text(toml.read_text() + f'\n[role_models.Programmer]\nname = "coder"\nendpoint = "{coder}"\n')
        await wiring.work(folder, choice)
        await choice.backend.aclose()
    models = {event.role: event.model for event in store_events(folder)}
    assert models["Programmer"] == "coder"
    assert models["Code Reviewer"] == "recorded"


def store_events(folder: Path) -> list[ModelAnswered]:
    return [r.event for r in store.read(runs.log_of(folder)) if isinstance(r.event, ModelAnswered)]


async def test_a_model_that_is_not_served_is_reported_before_the_first_call(tmp_path: Path) -> None:
    with pytest.raises(ModelNotServed, match='"nobody" is not served'):
        await ran(tmp_path, "Programmer=nobody")
    (folder,) = runs.every(tmp_path)
    assert not store_events(folder)


async def test_an_endpoint_that_does_not_answer_is_reported_before_the_first_call(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await ran(tmp_path, "Programmer=@127.0.0.1:9")


async def test_a_resume_may_take_another_model_and_asks_nothing_twice(tmp_path: Path) -> None:
    with pytest.raises(ModelNotServed):
        await ran(tmp_path, "Programmer=nobody")
    (folder,) = runs.every(tmp_path)
    run = await ran(tmp_path, folder=folder, again=("Programmer=recorded",))
    assert run.verdict.verdict == "passed"


@pytest.mark.parametrize("typed", ["Programmer", "=x", "Programmer=", ""])
def test_what_assigns_nothing_is_refused_with_the_form(typed: str) -> None:
    with pytest.raises(UserError, match="is not of the form ROLE=MODEL"):
        assignments([typed])


def test_names_may_hold_an_at_sign() -> None:
    typed = ["A=@cf/meta/llama", "B=m@localhost:8001", "C=@https://host/v1", "D=openai:gpt-9", "E=x@y"]
    typed += ["F=llama3:8b@host:11434", "G=qwen:7b@q4"]
    assert assignments(typed) == {
        "A": Target("@cf/meta/llama"),
        "B": Target("m", "http://localhost:8001/v1"),
        "C": Target("", "https://host/v1"),
        "D": Target("openai:gpt-9"),
        "F": Target("llama3:8b", "http://host:11434/v1"),
        "G": Target("qwen:7b@q4"),
        "E": Target("x@y"),
    }


def test_a_role_that_is_none_is_refused_with_those_there_are() -> None:
    company = config.load(config.find("full"))
    with pytest.raises(CompanyError, match='no role or phase called "Coder"') as error:
        company.assigning({"Coder": Target("x")})
    assert "Programmer" in error.value.do and "Coding" in error.value.do


def test_another_server_is_sent_its_own_key_and_no_others() -> None:
    settings = Settings(
        vllm_endpoint="http://own:8000/v1",
        vllm_api_key=Secret("own-key"),
        headers={"Authorization": Secret("Basic own")},
        keys={"http://other:8000/v1": Secret("others-key")},
    )
    own = addresses.of_vllm(settings)
    assert own.key == Secret("own-key") and own.headers
    other = addresses.of_vllm(settings, "http://other:8000/v1")
    assert (other.key, dict(other.headers)) == (Secret("others-key"), {})
    stranger = addresses.of_vllm(settings, "http://stranger:8000/v1")
    assert (stranger.key, dict(stranger.headers)) == (None, {})


async def test_the_runs_other_endpoints_stand_behind_a_roles_own(tmp_path: Path) -> None:
    coded = {"Coding.1/Programmer.1/ask.1": f"{WORDS}\n{UNHEARD_OF}"}
    played = recording(ANSWERS | coded | {PACKAGES: "requirements.txt\n```\nrequests\n```\n"})
    coding = FaultSpec(place="Coding.1", status=500)
    coders = msgspec.structs.replace(played, model="coder")
    async with Playback(played) as own, Playback(coders, manners=(coding,)) as coder:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": own}, tmp_path), BreakerRegistry((), rest=0.0))
        order = runs.RunRequest(
            task="greet", name="Greeting", config="full", role_models=(f"Programmer=coder@{coder}",)
        )
        folder = runs.begin(order, tmp_path)
        try:
            verdict = await wiring.work(folder, choice)
        finally:
            await choice.backend.aclose()
    run = Ran(folder, verdict, store.read(runs.log_of(folder)))
    assert verdict.verdict == "passed"
    by = {event.place.split("/")[0]: event for event in run.events(ModelAnswered) if event.role == "Programmer"}
    assert by["Coding.1"].endpoint == own
    assert by["Coding.1"].model == "recorded"
    assert by["together.1"].endpoint == coder
    notes = [note for event in run.events(AttemptStarted) for note in event.notes]
    assert any(f"{coder} (coder); {own} (recorded)" in note for note in notes)


async def test_none_of_the_others_begins_in_a_roles_place(tmp_path: Path) -> None:
    async with Playback(PLAYED) as own:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": own}, tmp_path))
        order = runs.RunRequest(
            task="greet", name="Greeting", config="full", role_models=("Programmer=coder@http://127.0.0.1:9/v1",)
        )
        try:
            with pytest.raises(Unreachable):
                await wiring.work(runs.begin(order, tmp_path), choice)
        finally:
            await choice.backend.aclose()


@pytest.mark.parametrize(
    "typed",
    [
        "Programmer=NAME@http://me:hunter2@host",
        "Programmer=NAME@http://me:hunter2@host:8000/v1",
        "Programmer=NAME@me:hunter2@host:8000",
        "Programmer=@https://me:hunter2@host",
        "=NAME@http://me:hunter2@host",
    ],
)
def test_a_login_in_a_models_address_is_refused_and_not_shown(typed: str) -> None:
    with pytest.raises(UserError, match="--role-model") as error:
        assignments([typed])
    assert "hunter2" not in str(error.value)
