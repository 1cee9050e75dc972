"""The doctor at servers with every fault that playback can show: the right check fails, with the right next step."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner
from helpers.fake_server import FakeServer, delta, says, serving, sse, streams, usage, whole

import chatdev
from chatdev.cli.doctor import command
from chatdev.company import adapt
from chatdev.models import address as addresses
from chatdev.models import discover
from chatdev.models.backend import VLLMModel
from chatdev.models.profile import Profile, Profiles
from chatdev.models.types import Message, Options
from chatdev.ops.doctor import host, skill
from chatdev.ops.doctor.examine import examine, find
from chatdev.ops.doctor.findings import Diagnosis, Finding, lines
from chatdev.playback import demo
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.settings import Secret, Settings, load

ROOT = Path(__file__).parents[2]
RECORDINGS = demo.recordings()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


async def diagnosed(cache: Path, manner: FaultSpec = FaultSpec(), **settings: object) -> Diagnosis:  # noqa: B008
    async with Playback(*RECORDINGS, manners=(manner,)) as url:
        given = Settings(vllm_endpoint=url, cache=cache, **settings)  # type: ignore[arg-type]
        return await examine(addresses.of_vllm(given), "default", given)


def by_check(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnosis.findings}


async def test_a_good_endpoint_passes_every_check_and_its_profile_is_kept(cache: Path) -> None:
    diagnosis = await diagnosed(cache)
    checks = by_check(diagnosis)
    assert diagnosis.exit_status == 0
    assert {name for name, finding in checks.items() if finding.verdict == "bad"} == set()
    assert "in flight" in checks and "latency" in checks and "GPU" in checks
    assert checks["models"].seen == "1 served: recorded-coder. A run would use recorded-coder."
    assert checks["engine"].seen.startswith("vLLM ")
    assert checks["structured output"].seen.startswith("Choices are requested with structured_outputs.")
    assert "ignored: grammar, guided_choice, regex" in checks["structured output"].seen
    profile = diagnosis.profile
    assert profile is not None
    assert (profile.choices, profile.thinks) == ("structured_outputs", False)
    assert profile.low and profile.high and profile.low < profile.high
    assert Profiles(cache).get(profile.base_url, profile.model, profile.version) == profile
    assert Path(diagnosis.kept).is_relative_to(cache)


@pytest.mark.parametrize(
    ("manner", "check", "verdict", "seen", "do"),
    [
        (FaultSpec(html=True), "protocol", "bad", "it returned a web page", "VLLM_ENDPOINT"),
        (FaultSpec(status=401), "key", "bad", "needs an API key: Unauthorized", "Set VLLM_API_KEY"),
        (FaultSpec(status=500), "protocol", "bad", "failed (HTTP status 500)", ""),
        (FaultSpec(window=2048), "context window", "bad", "2,048 tokens", "--max-model-len"),
        (FaultSpec(window=4096), "context window", "warning", "4,096 tokens", "8,192 or more"),
        (FaultSpec(no_window=True), "context window", "warning", "4,096 tokens are assumed", "window = 16384"),
        (FaultSpec(ignore_constraints=True), "structured output", "bad", "No kind of constraint is enforced", "vLLM"),
        (FaultSpec(null_content=True), "chat", "bad", "were in the field reasoning", "--reasoning-parser"),
        (FaultSpec(null_content=True), "reasoning", "good", "enable_thinking", ""),
        (FaultSpec(no_template=True), "chat", "bad", "no chat template", "--chat-template"),
        (FaultSpec(no_usage=True), "usage", "bad", "does not count tokens", "include_usage"),
        (FaultSpec(no_usage=True), "tokens", "warning", "estimated", ""),
        (FaultSpec(no_done=True), "end of stream", "warning", 'without "data: [DONE]"', "No action is needed"),
        (FaultSpec(fault="cut", after=5), "streaming", "bad", "ended after 5 chunks", "proxy"),
        (FaultSpec(fault="drop", after=5), "streaming", "bad", "5 chunks", "proxy"),
        (FaultSpec(fault="error", after=5), "streaming", "bad", "EngineCore encountered an issue", ""),
        (FaultSpec(plain_json=True), "streaming", "warning", "in one piece", "proxy_buffering"),
        (FaultSpec(cut_prompt=100), "tokens", "bad", "may have truncated the prompt", "OLLAMA_CONTEXT_LENGTH"),
        (FaultSpec(refuse_fields=("top_p",)), "dialect", "good", "without top_p", ""),
        (FaultSpec(refuse_fields=("seed",)), "seed", "good", "the same answer", ""),
    ],
)
async def test_the_right_check_fails_with_the_right_next_step(
    cache: Path, manner: FaultSpec, check: str, verdict: str, seen: str, do: str
) -> None:
    diagnosis = await diagnosed(cache, manner)
    finding = by_check(diagnosis)[check]
    assert (finding.verdict, diagnosis.exit_status) == (verdict, diagnosis.exit_status if verdict != "bad" else 1)
    assert seen in finding.seen
    assert do in finding.do
    if verdict != "good":
        assert finding.do or check == "tokens" or "500" in seen or "EngineCore" in seen


async def test_a_wrong_key_is_distinguished_from_none(cache: Path) -> None:
    async with Playback(*RECORDINGS, manners=(FaultSpec(api_key="right-key"),)) as url:
        given = Settings(vllm_endpoint=url, cache=cache, vllm_api_key=Secret("wrong-key"))
        diagnosis = await examine(addresses.of_vllm(given), "default", given)
    assert by_check(diagnosis)["key"].do == "Correct VLLM_API_KEY."
    assert "wrong-key" not in repr(diagnosis)
    assert not diagnosis.kept


async def test_a_model_that_is_not_served_is_the_models_check(cache: Path) -> None:
    async with Playback(*RECORDINGS) as url:
        given = Settings(vllm_endpoint=url, cache=cache)
        diagnosis = await examine(addresses.of_vllm(given), "nobody", given)
    finding = by_check(diagnosis)["models"]
    assert finding.verdict == "bad"
    assert "Served there: recorded-coder" in finding.seen
    assert "VLLM_MODEL_NAME" in finding.do


async def test_an_open_server_on_this_machine_is_warned_of(cache: Path) -> None:
    playback = Playback(*RECORDINGS)
    url = (await playback.start("0.0.0.0")).replace("0.0.0.0", "127.0.0.1")
    try:
        given = Settings(vllm_endpoint=url, cache=cache)
        diagnosis = await examine(addresses.of_vllm(given), "default", given)
    finally:
        await playback.stop()
    finding = by_check(diagnosis)["network"]
    assert finding.verdict == "warning"
    assert "anyone on its network" in finding.seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nothing_there_is_exit_status_2_with_the_way_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_ENDPOINT", raising=False)
    done = CliRunner().invoke(command, [f"localhost:{free_port()}"])
    assert done.exit_code == 2, done.output
    shown = " ".join(done.output.split())
    assert "(connection refused)" in shown
    assert 'Start one with "chatdev serve MODEL"' in shown
    assert "No server answered." in done.output
    assert "Traceback" not in done.output


async def typed(url: str, tmp_path: Path, **environment: str) -> str:
    """What ``chatdev doctor URL`` prints, on one line."""
    doctor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatdev", "doctor", url),
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path), **environment},
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    out, _ = await doctor.communicate()
    return " ".join(out.decode().split())


async def test_another_endpoint_is_sent_no_key_of_the_own_one(tmp_path: Path) -> None:
    async with Playback(*RECORDINGS, manners=(FaultSpec(api_key="own-key"),)) as url:
        shown = await typed(url, tmp_path, VLLM_API_KEY="own-key", VLLM_ENDPOINT="http://own:8000/v1")
        assert "needs an API key" in shown
        assert "VLLM_API_KEY is accepted." in await typed(url, tmp_path, VLLM_API_KEY="own-key")


async def test_each_of_several_endpoints_is_examined(tmp_path: Path) -> None:
    async with Playback(*RECORDINGS) as url:
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chatdev", "doctor", "--json"),
            env={"PYTHONPATH": str(ROOT), "VLLM_ENDPOINT": f"{url},localhost:{free_port()}"},
            stdout=asyncio.subprocess.PIPE,
            cwd=tmp_path,
        )
        out, _ = await doctor.communicate()
    first, second = json.loads(out)
    assert (first["exit_status"], second["exit_status"], doctor.returncode) == (0, 2, 2)


def test_all_findings_come_as_json_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(command, [f"localhost:{free_port()}", "--json"])
    shown = json.loads(done.stdout)
    assert (shown["exit_status"], shown["summary"]) == (2, "No server answered.")
    assert [finding["check"] for finding in shown["findings"]] == ["settings", "listens"]
    assert done.exit_code == 2


def test_a_finding_is_reported_in_columns() -> None:
    shown = list(lines(Finding("seed", "warning", "Two answers differ.", "Do this."), 60))
    assert shown == ["seed               warning   Two answers differ.", " " * 29 + "→ Do this."]


@pytest.mark.parametrize("reading", skill.READINGS)
def test_the_programs_of_the_trial_print_what_is_expected(reading: skill.ReadingTask) -> None:
    ran = subprocess.run([sys.executable, "-c", reading.program], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{reading.output}\n"


@pytest.mark.parametrize(
    ("form", "right", "effort"),
    [("{}", 10, "normal"), ("```\n{}\n```", 10, "normal"), ("`{}`", 10, "normal"), ("It prints {}.", 0, "low")],
)
async def test_the_effort_follows_the_trial_where_no_size_is_known(
    form: str, right: int, effort: str, cache: Path
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        question = (await request.json())["messages"][-1]["content"]
        outputs = [form.format(reading.output) for reading in skill.READINGS if reading.program in question]
        text = outputs[0] if outputs else "Red, yellow and blue."
        return await streams(sse(delta(content=text), delta("stop"), usage()))(request)

    async with serving(answer) as server:
        checks = await examined(server, cache)
        assert checks["skill"].seen.startswith(f"The model predicted the output of {right} of 10 small programs.")
        backend = VLLMModel(settings=run_settings(server.url, cache))
        facts = await backend.facts()
        await backend.aclose()
    assert facts.skill == right / 10
    assert adapt.effort_for(facts.size, facts.skill)[0] == effort


def run_settings(url: str, cache: Path) -> Settings:
    return Settings(vllm_endpoint=url, cache=cache)


ASKED = [Message("user", "create a calculator")]
VERSION = f"{chatdev.__version__}+playback"


async def test_a_run_uses_the_kind_of_constraint_that_the_profile_names(cache: Path) -> None:
    bodies: list[str] = []
    async with Playback(*RECORDINGS) as url:
        Profiles(cache).put(Profile(url, "recorded-coder", version=VERSION, choices="response_format"))
        model = VLLMModel(settings=run_settings(url, cache))
        model.debug = bodies.append
        answer = await model.complete(ASKED, Options(choices=("a", "b"), request_id="doctor.1/a.1"))
        await model.aclose()
    assert json.loads(answer.text) == {"choice": "a"}
    assert not any("structured_outputs" in body for body in bodies)


async def test_a_profile_that_turns_out_wrong_is_corrected(cache: Path) -> None:
    async with Playback(*RECORDINGS, manners=(FaultSpec(ignore_constraints=True),)) as url:
        wrong = Profile(url, "recorded-coder", version=VERSION, choices="structured_outputs", thinks=False)
        Profiles(cache).put(wrong)
        model = VLLMModel(settings=run_settings(url, cache))
        await model.complete(ASKED, Options(choices=("a", "b"), request_id="doctor.1/a.1"))
        await model.aclose()
        found = Profiles(cache).get(url, "recorded-coder", wrong.version)
    assert found is not None and found.choices == ""


async def test_a_profile_of_another_version_is_not_used(cache: Path) -> None:
    async with Playback(*RECORDINGS) as url:
        Profiles(cache).put(Profile(url, "recorded-coder", version="0.0.1", choices=""))
        model = VLLMModel(settings=run_settings(url, cache))
        answer = await model.complete(ASKED, Options(choices=("a", "b"), request_id="doctor.1/a.1"))
        await model.aclose()
    assert answer.text == "a"


async def examined(server: FakeServer, cache: Path, **more: object) -> dict[str, Finding]:
    given = Settings(vllm_endpoint=server.url, cache=cache)
    address = msgspec.structs.replace(addresses.of_vllm(given), **more)
    return by_check(await examine(address, "default", given))


async def test_a_key_that_a_server_quotes_is_in_no_finding_and_no_profile(cache: Path) -> None:
    key = "tok-decoy-4711"
    pages: dict[str, object] = {"/version": {"version": f"1.0 for {key}"}, "/v1/models": {"data": [{"id": "m"}]}}
    async with serving(pages=pages) as server:
        given = Settings(vllm_endpoint=server.url, cache=cache, vllm_api_key=Secret(key))
        heard: list[Finding] = []
        diagnosis = await examine(addresses.of_vllm(given), "default", given, heard.append)
        other = await examine(msgspec.structs.replace(addresses.of_vllm(given), key=None), "default", given)
    assert diagnosis.version == "1.0 for ***"
    for each in (diagnosis, heard, other):
        assert key.encode() not in msgspec.json.encode(each)
    stored = list(cache.iterdir())
    assert stored and all(key not in path.read_text() and path.stat().st_mode & 0o077 == 0 for path in stored)


async def test_a_server_without_a_model_is_reported_with_how_to_load_one(cache: Path) -> None:
    async with serving(models={"data": []}) as server:
        finding = (await examined(server, cache))["models"]
    assert (finding.verdict, finding.do) == (
        "bad",
        "Load a model on that server, or set VLLM_MODEL_NAME if the server never lists its models.",
    )


async def test_an_announced_end_is_warned_of(cache: Path) -> None:
    async with serving(models={"data": [{"id": "m", "shutdown_date": "2031-01-01"}]}) as server:
        finding = (await examined(server, cache))["shutdown"]
    assert (finding.verdict, finding.seen) == ("warning", "m will be shut down on 2031-01-01.")


async def test_a_model_that_cannot_stop_thinking_is_reported(cache: Path) -> None:
    thought = sse(delta(reasoning_content="hm"), delta(content="Red"), delta("stop"), usage())
    async with serving(streams(thought)) as server:
        checks = await examined(server, cache)
    assert checks["reasoning"].verdict == "warning"
    assert "reasoning_content" in checks["reasoning"].seen


async def test_marks_of_a_template_in_an_answer_are_found(cache: Path) -> None:
    async with serving(says(whole("Red.<|im_end|>\n<|im_start|>user"))) as server:
        finding = (await examined(server, cache))["chat"]
    assert finding.verdict == "bad"
    assert "<|im_end|>, <|im_start|>" in finding.seen


async def test_an_empty_answer_and_one_of_white_space_are_reported_for_what_they_are(cache: Path) -> None:
    blank = sse(delta(content='{ "'), delta(content=" " * 50), delta("length"), usage())
    async with serving(says(whole("")), streams(blank)) as server:
        checks = await examined(server, cache)
    assert checks["chat"].seen == "The answer was empty."
    assert "white space" in checks["structured output"].seen


async def test_what_came_from_the_cache_is_reported(cache: Path) -> None:
    warm = usage(prompt_tokens=1000, prompt_tokens_details={"cached_tokens": 960})
    async with serving(streams(sse(delta(content="x"), delta("stop"), warm))) as server:
        finding = (await examined(server, cache))["prefix cache"]
    assert (finding.verdict, "960 of 1,000 prompt tokens" in finding.seen) == ("good", True)


async def test_calls_that_cost_money_are_not_spent_on_measuring_many_at_once(cache: Path) -> None:
    async with serving() as server:
        finding = (await examined(server, cache, free=False))["in flight"]
    assert finding.verdict == "not known"


async def test_a_server_that_takes_one_call_at_a_time_is_found_out(cache: Path) -> None:
    alone = asyncio.Lock()
    pieces: list[bytes | float] = [sse(delta(content="x"), done=False), 0.2, sse(delta("stop"), usage())]

    async def one_by_one(request: web.Request) -> web.StreamResponse:
        async with alone:
            return await streams(*pieces)(request)

    async with serving(one_by_one) as server:
        checks = await examined(server, cache)
    assert checks["in flight"].verdict == "warning"
    assert checks["in flight"].seen.startswith("1 in parallel")


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("http://gpu-2:8000/v1", Secret("k"), "Your key, the task and all code go to gpu-2"),
        ("http://gpu-2:8000/v1", None, "The task and all code go to gpu-2"),
        ("https://gpu-2/v1", None, ""),
        ("http://localhost:8000/v1", None, ""),
        ("http://127.0.0.1:8000/v1", None, ""),
    ],
)
def test_plain_http_to_another_machine_is_warned_of(url: str, key: Secret | None, expected: str) -> None:
    finding = host.traffic(addresses.Address(base_url=url, key=key))
    assert (finding is not None) == bool(expected)
    if finding:
        assert finding.seen.startswith(expected)
        assert "ssh -N -L 8000:localhost:8000 gpu-2" in finding.do


def test_each_setting_is_reported_with_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text('vllm_model_name = "qwen"\nwindow = 4096\n')
    given = load({"VLLM_ENDPOINT": "localhost:1", "OPENAI_API_KEY": "sk-secret"}, tmp_path)
    shown = host.settings(given).seen
    assert "VLLM_ENDPOINT from the environment" in shown
    assert "VLLM_MODEL_NAME from chatdev.toml" in shown
    assert "window from chatdev.toml" in shown
    assert "OpenAI takes over" in shown
    assert "sk-secret" not in shown


async def test_without_an_endpoint_what_listens_here_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(models={"data": [{"id": "found"}]}) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        monkeypatch.setattr(discover.servers, "__defaults__", ((port,),))
        address, found = await find(Settings())
    assert address.base_url == server.url
    assert [facts.model for facts in found] == ["found"]
