"""Calls are made, counted, retried, cut: against playback servers, over real HTTP."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import web
from benching import CALLS, ONCE, QUESTION, RECORDING, WORKLOAD, benched, named

from chatdev.models.types import Completion, Progress
from chatdev.ops.bench import measure
from chatdev.ops.bench.measure import AnswerTiming, Bench, BenchPlan
from chatdev.ops.bench.workload import RecordedCall, Workload
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.receipt import Receipt

Handler = Callable[[web.Request], Awaitable[web.Response]]


async def test_each_place_makes_the_calls_of_its_project() -> None:
    async with Playback(RECORDING) as url:
        report, progress = await benched(named(url))
    (found,) = report.endpoints
    assert report.exit_status == 0
    assert found.measured
    assert (found.model, found.window, found.models, found.own) == ("tiny", 4096, 1, True)
    assert [(level.in_flight, level.answered, level.failed, level.cut) for level in found.levels] == [
        (1, 2, 0, 0),
        (3, 6, 0, 0),
    ]
    assert [level.projects_finished for level in found.levels] == [1, 3]
    assert [level.retries for level in found.levels] == [0, 0]
    for level in found.levels:
        assert level.first_token is not None
        assert level.first_token.p50 > 0
        assert level.tokens_per_second * level.seconds == pytest.approx(
            16 * level.in_flight
        )  # each answer at its limit
        assert level.projects_per_hour * level.seconds == pytest.approx(3600 * level.in_flight)
        assert level.prefix_source == "not reported"
    assert found.answered == 1
    assert found.cost_per_project == found.cost_per_1k_tokens == 0
    assert any("1 in flight" in line for line in progress)


async def test_passing_faults_are_retried_and_counted() -> None:
    async with Playback(RECORDING, manners=[FaultSpec(attempt=1, status=503)]) as url:
        report, _ = await benched(named(url))
    (found,) = report.endpoints
    assert [level.retries for level in found.levels] == [2, 6]
    assert found.answered == 1


async def test_calls_that_fail_are_errors_and_the_others_are_measured() -> None:
    async with Playback(RECORDING, manners=[FaultSpec(place=QUESTION, status=500)]) as url:
        report, _ = await benched(named(url))
    (found,) = report.endpoints
    assert found.measured
    assert found.answered == 0.5
    assert [(level.answered, level.failed, level.retries) for level in found.levels] == [(1, 1, 2), (3, 3, 6)]
    assert any(note.startswith("4 calls failed: ") for note in found.notes)


async def test_a_server_that_refuses_everything_is_not_asked_on_and_on() -> None:
    async with Playback(RECORDING, manners=[FaultSpec(place=call.place, status=422) for call in CALLS]) as url:
        report, _ = await benched(named(url), plan=BenchPlan(levels=(1, 2), seconds=60))
    (found,) = report.endpoints
    assert not found.measured
    assert [level.failed for level in found.levels] == [2, 4]
    assert found.why.startswith("No call was answered. ")
    assert report.exit_status == 2


async def test_a_dead_endpoint_does_not_keep_the_others_from_being_measured() -> None:
    async with Playback(RECORDING) as url:
        report, progress = await benched(named("127.0.0.1:9"), named(url))
    assert [found.measured for found in report.endpoints] == [False, True]
    assert report.exit_status == 1
    assert "127.0.0.1:9 cannot be measured." in progress
    assert "connection refused" in report.endpoints[0].why


async def test_what_is_in_flight_at_the_end_is_cut_and_its_tokens_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SETTLING", 0.0)
    manners = [FaultSpec(place=CALLS[1].place, fault="stall", after=5)]
    async with Playback(RECORDING, manners=manners) as url:
        report, _ = await benched(named(url), plan=BenchPlan(levels=(2,), seconds=3))
    (found,) = report.endpoints
    (level,) = found.levels
    assert (level.answered, level.failed, level.cut) == (2, 0, 2)
    assert level.projects_finished == 0
    assert level.tokens_per_second * level.seconds == pytest.approx(2 * (4 + 5))
    assert any("No project finished at 2 in flight" in note for note in found.notes)


async def test_an_endpoint_too_slow_for_the_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SETTLING", 0.0)
    async with Playback(RECORDING, manners=[FaultSpec(first_token=60)]) as url:
        report, _ = await benched(named(url), plan=BenchPlan(levels=(1,), seconds=0.1))
    (found,) = report.endpoints
    assert not found.measured
    assert "--seconds" in found.why


async def test_what_takes_money_ends_after_one_project_in_each_place() -> None:
    async with Playback(RECORDING) as url:
        paid = msgspec.structs.replace(named(url), paid=True)
        report, progress = await benched(paid, plan=BenchPlan(levels=(1, 2), seconds=60))
    (found,) = report.endpoints
    assert "for 3 projects of 2 calls" in progress[0]
    assert progress[1] == "1 of 1 endpoints answer; measuring them takes about 2 minutes."
    assert [level.answered for level in found.levels] == [2, 4]
    assert found.cost_per_project is None
    assert not found.own
    assert "per parallel slot: 1." in found.notes[-1]


async def test_no_two_projects_are_alike() -> None:
    seen: set[str] = set()

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        seen.add(body["messages"][0]["content"])
        assert body["max_tokens"] in (4, 12)
        usage = {"prompt_tokens": 20, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": usage})

    async with serving(chat=chat) as url:
        report, _ = await benched(named(url))
        await benched(named(url))
    assert len(seen) == 2 * (1 + 4)  # the first short call's, and one in each place; twice
    (found,) = report.endpoints
    assert [(level.prefix_hits, level.prefix_source) for level in found.levels] == [(0.25, "usage")] * 2
    assert [level.gap for level in found.levels] == [None, None]  # what comes whole has no time between tokens
    assert any("as long as the recorded ones" in note for note in found.notes)


async def test_a_servers_own_counters_tell_the_prefix_hits() -> None:
    looked_up = 0

    async def metrics(_: web.Request) -> web.Response:
        nonlocal looked_up
        looked_up += 100
        text = (
            "# TYPE vllm:prefix_cache_queries counter\n"
            f'vllm:prefix_cache_queries_total{{engine="0",model_name="a b"}} {looked_up}.0\n'
            f'vllm:prefix_cache_hits_total{{engine="0",model_name="a b"}} {0.4 * looked_up}\n'
            'vllm:prefix_cache_hits_total{engine="1",model_name="a b"} 0.0\n'
        )
        return web.Response(text=text)

    async def chat(_: web.Request) -> web.Response:
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice]})

    async with serving(chat=chat, metrics=metrics) as url:
        report, _ = await benched(named(url))
    (found,) = report.endpoints
    assert [level.prefix_hits for level in found.levels] == pytest.approx([0.4, 0.4])
    assert {level.prefix_source for level in found.levels} == {"metrics"}
    assert any("counters" in note for note in found.notes)
    assert any("does not count tokens" in note for note in found.notes)


class serving:  # noqa: N801 - a context manager, named like one
    """A server with one model and these handlers: its base URL."""

    def __init__(self, chat: Handler, metrics: Handler | None = None) -> None:
        async def models(_: web.Request) -> web.Response:
            return web.json_response({"data": [{"id": "tiny", "max_model_len": 4096}]})

        app = web.Application()
        app.router.add_get("/v1/models", models)
        app.router.add_post("/v1/chat/completions", chat)
        if metrics:
            app.router.add_get("/metrics", metrics)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def completion(first: float | None, tokens: int) -> Completion:
    return Completion("", "stop", Receipt(1, tokens, endpoint="", model="", first_token=first))


def test_inter_token_latency_is_first_piece_to_last_by_the_tokens_between() -> None:
    pace = AnswerTiming()
    pace(Progress("waiting", seconds=0.4))
    pace(Progress("text", "a", 0.5, 1))
    pace(Progress("text", "bcd", 1.5, 2))  # three tokens in one piece
    assert pace.gap(completion(0.5, 5)) == pytest.approx(0.25)
    assert pace.gap(completion(0.5, 1)) is None
    assert pace.gap(completion(None, 5)) is None
    assert pace.gap(completion(1.5, 5)) is None
    pace(Progress("waiting"))
    assert pace.pieces == 0


async def test_the_first_call_is_the_shortest_and_is_not_counted() -> None:
    async with Playback(RECORDING) as url:
        levels = await Bench(named(url), WORKLOAD, ONCE, lambda text: None).run()
    assert [len(level.samples) for level in levels] == [2, 6]


async def test_the_figures_say_where_the_task_does_not_stand() -> None:
    other = Workload("a run", "sing", (RecordedCall(QUESTION, CALLS[0].messages, 4),))
    async with Playback(RECORDING) as url:
        report, _ = await benched(named(url), plan=BenchPlan((1,), 60, 1), workload=other)
    assert "the same in all projects: 1." in report.notes[-1]
