import asyncio
import contextlib
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from helpers import fake_server, plain
from helpers.support import ANSWERS, recording

from chatdev import runs, wiring
from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import batch, concurrency, pool, shared
from chatdev.fleet.ledger import BatchTask, Ledger, Result
from chatdev.fleet.plan import BatchPlan
from chatdev.fleet.shared import FAST, Bounded, SharedModelHandle, SyncThread, Traffic
from chatdev.fleet.tasks import TaskRow
from chatdev.journal import events
from chatdev.journal.store import JournalError, Record, Store, read
from chatdev.models.backend import StubModel
from chatdev.models.choose import Choice, choose
from chatdev.models.errors import CostLimit, KeyRefused, Unreachable
from chatdev.models.types import Completion, EarlyStop, Message, Options, Target, Watch
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.receipt import Receipt
from chatdev.sandbox import levels
from chatdev.sandbox.port import Job, Outcome
from chatdev.settings import load


def log(folder: Path, result: Result) -> list[events.Any]:
    return [record.event for record in read(runs.log_of(folder / "batch" / result.folder))]


async def test_every_project_is_carried_to_its_end(tmp_path: Path) -> None:
    results = await plain.carried(tmp_path, plain.rows(12), jobs=None)
    assert len(results) == 12
    assert {each.calls for each in results.values()} == {plain.CALLS}
    assert {each.verdict for each in results.values()} == {"not run (no program was written)"}
    assert all(each.completion_tokens == plain.CALLS * 4 and each.seconds >= 0 for each in results.values())
    folder = tmp_path / "batch" / results["Project 3"].folder
    assert (folder / "REPORT.md").is_file()
    assert (folder / "Project_3.prompt").read_text() == "task 3"
    assert (folder / ".chatdev" / "company").is_symlink()
    assert not isinstance(log(tmp_path, results["Project 3"])[-1], events.ServerCounted)


async def test_a_product_is_built_and_judged_as_in_a_run_of_its_own(tmp_path: Path) -> None:
    named = [("1", TaskRow("Greeting", "greet"))]
    results = await plain.carried(tmp_path, named, recording(ANSWERS), plan=BatchPlan(config="full"))
    assert (results["Greeting"].verdict, results["Greeting"].status) == ("passed", "passed")


async def test_what_has_ended_is_not_done_again_and_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    named = plain.rows(6)
    first = await plain.carried(tmp_path, named[:2])
    slow = Playback(plain.says(), manners=[FaultSpec(place="Plain2.1", first_token=600.0)])
    async with slow as endpoint, plain.met(endpoint, tmp_path) as choice:
        with contextlib.closing(Ledger(tmp_path / "batch")) as ledger:
            left = ledger.unfinished(ledger.add(named))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), 4) as carrier:
                work = asyncio.create_task(batch.run_projects(carrier, ledger, left, print, lambda: None))
                while sum(
                    len(list((ledger.batch_folder.projects / task.folder).glob("*/events.jsonl"))) for task in left
                ) < 4 or (carrier.status.calls < 4):
                    await asyncio.sleep(0.01)
                assert (carrier.status.running, carrier.status.limit) == (4, 4)
                work.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await work
                assert carrier.status.running == 0
                assert len(ledger.results) == 2
    results = await plain.carried(tmp_path, named)
    assert len(results) == 6
    assert {name: results[name] for name in first} == first
    for name in set(results) - set(first):
        answered = [event.place for event in log(tmp_path, results[name]) if isinstance(event, events.ModelAnswered)]
        assert len(answered) == len(set(answered)) == plain.CALLS


async def test_a_run_that_ended_before_anyone_heard_of_it_is_reported_now(tmp_path: Path) -> None:
    first = await plain.carried(tmp_path, plain.rows(2))
    (tmp_path / "batch" / "results.jsonl").unlink()
    report = tmp_path / "batch" / first["Project 0"].folder / "REPORT.md"
    report.unlink()
    assert await plain.carried(tmp_path, plain.rows(2)) == first
    assert report.is_file()
    assert sum(isinstance(event, events.AttemptStarted) for event in log(tmp_path, first["Project 0"])) == 1


async def test_a_folder_whose_maker_died_over_it_is_made_again(tmp_path: Path) -> None:
    with contextlib.closing(
        Ledger(tmp_path / "batch", BatchPlan(config=str(plain.company(tmp_path / "company"))))
    ) as ledger:
        (task, other) = ledger.add(plain.rows(2))
        log_file = runs.log_of(ledger.batch_folder.projects / task.folder)
        log_file.parent.mkdir(parents=True)
        log_file.write_bytes(b'{"n":1,"at"')
        (ledger.batch_folder.projects / other.folder).mkdir()
    assert len(await plain.carried(tmp_path, plain.rows(2))) == 2


async def test_one_project_s_error_is_its_own(tmp_path: Path) -> None:
    plain.company(tmp_path / "company")
    phase = tmp_path / "company" / "phases" / "Plain2.md"
    phase.write_text(f"{phase.read_text()}\n{{% if task == 'task 1' %}}{{{{ [] + 1 }}}}{{% endif %}}\n")
    results = await plain.carried(tmp_path, plain.rows(3))
    assert [results[name].status for name in sorted(results)] == ["failed", "error", "failed"]
    assert "phases/Plain2.md" in results["Project 1"].error
    assert results["Project 1"].calls == 1


async def test_a_program_of_ours_that_fails_ends_one_project_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = wiring.deliver

    def failing(folder: Path, records: tuple[Record, ...]) -> None:
        if "Project_1_" in folder.name:
            raise ZeroDivisionError("one\nby none")
        deliver(folder, records)

    monkeypatch.setattr(wiring, "deliver", failing)
    results = await plain.carried(tmp_path, plain.rows(3))
    assert results["Project 1"].error == "ZeroDivisionError: one by none"
    assert results["Project 2"].status == "failed"


async def test_a_damaged_log_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    first = await plain.carried(tmp_path, plain.rows(2))
    path = runs.log_of(tmp_path / "batch" / first["Project 1"].folder)
    path.write_bytes(b"{}\n" + path.read_bytes())
    (tmp_path / "batch" / "results.jsonl").unlink()
    results = await plain.carried(tmp_path, plain.rows(2))
    assert results["Project 0"] == first["Project 0"]
    assert results["Project 1"].status == "error" and "damaged" in results["Project 1"].error


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LONGEST", 0.001)


@pytest.mark.usefixtures("no_rest")
async def test_a_server_that_is_gone_stops_the_batch_and_no_project_has_failed(tmp_path: Path) -> None:
    plan = BatchPlan(config=str(plain.company(tmp_path / "company")))
    playback = Playback(plain.says())
    async with plain.met(await playback.start(), tmp_path) as choice:
        await playback.stop()
        with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
            left = ledger.add(plain.rows(12))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), 4) as carrier:
                with pytest.raises(Unreachable, match="The batch has stopped"):
                    await batch.run_projects(carrier, ledger, left, lambda result: None, lambda: None)
            assert ledger.results == {}
    assert len(await plain.carried(tmp_path, plain.rows(12))) == 12


async def test_a_server_that_comes_back_in_time_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LONGEST", 0.01)
    plan = BatchPlan(config=str(plain.company(tmp_path / "company")))
    playback = Playback(plain.says())
    endpoint = await playback.start()
    calls = 0

    async def answers(self: shared.SharedModel) -> bool:
        nonlocal calls
        calls += 1
        if calls == 3:
            await playback.start(port=int(endpoint.rpartition(":")[2].partition("/")[0]))
        return False

    monkeypatch.setattr(shared.SharedModel, "answers", answers)
    async with plain.met(endpoint, tmp_path) as choice:
        await playback.stop()
        with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
            left = ledger.add(plain.rows(5))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), 1) as carrier:
                await batch.run_projects(carrier, ledger, left, lambda result: None, lambda: None)
            assert {each.status for each in ledger.results.values()} == {"failed"}
    await playback.stop()
    assert calls == 3


@pytest.mark.usefixtures("no_rest")
async def test_faults_of_a_server_count_as_a_project_s_end_after_some_goes(tmp_path: Path) -> None:
    results = await plain.carried(tmp_path, plain.rows(1), None, FaultSpec(place="Plain2.1", status=500))
    assert results["Project 0"].status == "error"
    attempts = [event for event in log(tmp_path, results["Project 0"]) if isinstance(event, events.AttemptStarted)]
    assert len(attempts) == pool.TRIES


async def test_a_key_that_is_refused_stops_the_batch(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused):
        await plain.carried(tmp_path, plain.rows(4), None, FaultSpec(place="Plain2.1", status=401))
    assert len(await plain.carried(tmp_path, plain.rows(4))) == 4


async def test_a_disk_that_takes_no_more_stops_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    plain.company(tmp_path / "company")
    monkeypatch.setattr("chatdev.journal.store.os.fdatasync", full)
    with pytest.raises(ChatDevError, match="No space left on device"):
        await plain.carried(tmp_path, plain.rows(4))
    monkeypatch.undo()
    assert len(await plain.carried(tmp_path, plain.rows(4))) == 4


async def test_what_a_display_does_wrong_stops_the_batch_in_words(tmp_path: Path) -> None:
    async with Playback(plain.says()) as endpoint, plain.met(endpoint, tmp_path) as choice:
        plan = BatchPlan(config=str(plain.company(tmp_path / "company")))
        with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
            left = ledger.add(plain.rows(3))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), 2) as carrier:
                for error, told in (
                    (OSError(28, "No space left on device"), "No space"),
                    (ValueError("x"), "ValueError: x"),
                ):

                    def failing(result: Result, error: Exception = error) -> None:
                        raise error

                    with pytest.raises(ChatDevError, match=told):
                        await batch.run_projects(carrier, ledger, ledger.unfinished(left), failing, lambda: None)


LUNA = Recording(model="gpt-6-luna", entries=plain.says(" ".join(map(str, range(1500)))).entries)


async def paid(tmp_path: Path, max_cost: str) -> dict[str, Result]:
    """All is answered by OpenAI: its address is OpenAI's own; a proxy leads to a server of ours."""
    async with Playback(LUNA) as cloud:
        (tmp_path / "chatdev.toml").write_text(f'proxy = "{cloud.removesuffix("/v1")}"\nmax_cost = {max_cost}\n')
        environ = {"OPENAI_API_KEY": "sk-proj-4711", "OPENAI_BASE_URL": "http://api.openai.com/v1"}
        environ |= {"VLLM_MODEL_NAME": "not-served-there", "OPENAI_MODEL": "gpt-6-luna"}
        made = tmp_path / "company"
        plan = BatchPlan(config=str(made if made.exists() else plain.company(made)))
        async with plain.met("http://gpu:8000/v1", tmp_path, **environ) as choice:
            with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
                left = ledger.unfinished(ledger.add(plain.rows(8)))
                async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), 2) as carrier:
                    try:
                        await batch.run_projects(carrier, ledger, left, lambda result: None, lambda: None)
                    finally:
                        costs = sum(
                            event.cost or 0.0
                            for path in ledger.batch_folder.projects.glob("*/.chatdev/events.jsonl")
                            for record in read(path)
                            if isinstance(event := record.event, events.ModelAnswered)
                        )
                        assert choice.cost_budget.spent >= costs - 1e-9  # what was broken off may have been charged
                return dict(ledger.results)


async def test_the_cost_of_all_projects_together_is_bounded_and_more_money_goes_on(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = await paid(tmp_path / "a", "5")
    cost = sum(each.cost for each in whole.values())
    with pytest.raises(CostLimit, match="higher --max-cost"):
        await paid(tmp_path / "b", str(cost / 2))
    results = await paid(tmp_path / "b", "5")
    assert len(results) == 8
    assert sum(each.cost for each in results.values()) == pytest.approx(cost)


async def test_another_model_for_a_role_is_met_once_for_all_projects(tmp_path: Path) -> None:
    async with Playback(Recording(model="adept", entries=(Entry(when="", text="<INFO> other"),))) as other:
        plan = BatchPlan(config=str(plain.company(tmp_path / "company")), role_models=(f"Programmer=@{other}",))
        count = 0
        meet = Choice.colleague

        async def counted(self: Choice, target: Target) -> Choice:
            nonlocal count
            count += 1
            return await meet(self, target)

        Choice.colleague = counted  # type: ignore[method-assign]
        try:
            results = await plain.carried(tmp_path, plain.rows(5), plan=plan)
        finally:
            Choice.colleague = meet  # type: ignore[method-assign]
    assert count == 1
    for result in results.values():
        answers = [event for event in log(tmp_path, result) if isinstance(event, events.ModelAnswered)]
        assert {(event.model, event.text) for event in answers} == {("adept", "<INFO> other")}


@pytest.mark.usefixtures("no_rest")
async def test_another_model_that_does_not_answer_is_tried_again_for_each_project(tmp_path: Path) -> None:
    plan = BatchPlan(
        config=str(plain.company(tmp_path / "company")), role_models=("Programmer=@http://127.0.0.1:9/v1",)
    )
    results = await plain.carried(tmp_path, plain.rows(1), plan=plan)
    assert (results["Project 0"].status, results["Project 0"].calls) == ("error", 0)
    assert "127.0.0.1:9" in results["Project 0"].error


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_person_may_say_how_answers_come(tmp_path: Path, streamed: bool) -> None:
    plan = BatchPlan(config=str(plain.company(tmp_path / "company")))
    told: list[str] = []
    async with Playback(plain.says()) as endpoint, plain.met(endpoint, tmp_path) as choice:
        choice.backend.debug = told.append
        with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
            left = ledger.add(plain.rows(1))
            async with batch.pooled(
                ledger.batch_folder, choice, levels.at(levels.UNSAFE), 1, streamed=streamed
            ) as carrier:
                await batch.run_projects(carrier, ledger, left, lambda result: None, lambda: None)
                assert (carrier.status.calls, carrier.status.tokens) == (plain.CALLS, plain.CALLS * 4)
    calls = [text for text in told if '"messages"' in text]
    assert len(calls) == plain.CALLS
    assert all(('"stream":true' in text.replace(" ", "")) == streamed for text in calls)


class Server(StubModel):
    """Answers at so many tokens a second; it keeps what was asked to be streamed."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self.streamed: list[bool] = []

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        self.streamed.append(options.stream)
        await asyncio.sleep(0)
        receipt = Receipt(10, 100, endpoint="", model="stub", seconds=100 / self._speed)
        return Completion("said", "stop", receipt)


ASKED = [Message("user", "ask")]


async def asked(server: Server, at_once: int, options: Options, traffic: Traffic) -> list[bool]:
    """What was streamed of so many calls at once."""
    guest = SharedModelHandle(server, traffic)
    server.streamed.clear()
    await asyncio.gather(*(guest.complete(ASKED, options) for _ in range(at_once)))
    return server.streamed


async def test_answers_are_streamed_while_the_server_is_slow() -> None:
    server, traffic = Server(8.0), Traffic()
    for at_once in (4, 4, 8):
        assert await asked(server, at_once, Options(early=EarlyStop()), traffic) == [True] * at_once


async def test_answers_of_a_fast_server_and_of_hundreds_at_once_come_whole() -> None:
    fast, traffic = Server(2_000.0), Traffic()
    assert await asked(fast, 1, Options(early=EarlyStop()), traffic) == [True]  # nothing is known yet
    assert await asked(fast, 3, Options(early=EarlyStop()), traffic) == [False] * 3
    streamed = await asked(Server(8.0), 300, Options(early=EarlyStop()), Traffic())
    assert streamed.count(True) == FAST / 10


async def test_an_answer_that_is_heard_out_anyway_comes_whole() -> None:
    assert await asked(Server(8.0), 2, Options(), Traffic()) == [False, False]


async def test_programs_wait_for_a_core() -> None:
    running = most = 0
    free = asyncio.Event()

    class Busy:
        level = "busy"

        async def run(self, job: Job) -> Outcome:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await free.wait()
            running -= 1
            return Outcome(0)

    sandbox = Bounded(Busy(), cores=3)
    assert sandbox.level == "busy"
    programs = [asyncio.create_task(sandbox.run(Job((), {}))) for _ in range(10)]
    while running < 3:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert running == 3
    free.set()
    await asyncio.gather(*programs)
    assert most == 3
    assert Bounded(Busy()).level == "busy" and shared.cores_here() >= 1


async def test_functions_beside_the_loop_are_called_together_and_each_hears_its_own_error() -> None:
    aside, called = SyncThread(), []

    def failing() -> None:
        raise ValueError("no")

    gathered = await asyncio.gather(
        *(aside(lambda number=number: called.append(number)) for number in range(5)),  # type: ignore[misc]
        aside(failing),
        return_exceptions=True,
    )
    assert called == [0, 1, 2, 3, 4]
    assert isinstance(gathered[5], ValueError)
    waiting = asyncio.create_task(aside(lambda: called.append(5)))
    await asyncio.sleep(0)
    waiting.cancel()
    await aside(lambda: called.append(6))
    assert called[5:] == [5, 6]


async def test_more_projects_than_files_may_be_open_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: limits.append(wanted))
    with pytest.raises(UserError, match="--jobs 149 or less"):
        await plain.carried(tmp_path, plain.rows(1), jobs=1000)
    assert limits[-1] == (1024, 1024)
    unlimited = resource.RLIM_INFINITY
    limits.append((unlimited, unlimited))
    assert len(await plain.carried(tmp_path, plain.rows(1), jobs=1000)) == 1


def test_tasks_have_the_time_of_their_folder() -> None:
    task = BatchTask("1", "A", "A_x_y_20260102030405", TaskRow("A", "a"))
    assert task.started_at.isoformat() == "2026-01-02T03:04:05"


METRICS = "vllm:num_requests_running 3\nvllm:num_requests_waiting {waiting}\nvllm:kv_cache_usage_perc 0.1\n"


async def test_the_number_of_projects_follows_what_the_server_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LOAD_POLL", 0.01)
    told: list[int] = []

    async def chat(request: web.Request) -> web.StreamResponse:
        while len(told) < 3:  # none is answered before the pool has looked around
            await asyncio.sleep(0.01)
        return web.json_response(fake_server.whole("<INFO> so it is"))

    async def metrics(_: web.Request) -> web.Response:
        told.append(1)
        return web.Response(text=METRICS.format(waiting=0))

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "owned_by": "vllm", "max_model_len": 32768}]})

    app = web.Application()
    app.add_routes(
        [web.post("/v1/chat/completions", chat), web.get("/metrics", metrics), web.get("/v1/models", models)]
    )
    plan = BatchPlan(config=str(plain.company(tmp_path / "company")))
    async with TestServer(app) as server, plain.met(str(server.make_url("/v1")), tmp_path) as choice:
        with contextlib.closing(Ledger(tmp_path / "batch", plan)) as ledger:
            left = ledger.add(plain.rows(20))
            async with batch.pooled(ledger.batch_folder, choice, levels.at(levels.UNSAFE), None) as carrier:
                assert carrier.status.limit == concurrency.FIRST
                await batch.run_projects(carrier, ledger, left, lambda result: None, lambda: None)
                assert carrier.status.limit > concurrency.FIRST
        assert len(ledger.results) == 20


async def test_the_same_backend_serves_all_projects_where_there_is_one_alone(tmp_path: Path) -> None:
    choice = await choose("STUB", load({}, tmp_path))
    common = shared.SharedModel(choice)
    guest = common.guest().backend
    assert (await guest.complete([Message("user", "x")], Options())).text
    assert (await guest.facts()).model == "stub"
    assert await guest.least_window() is None
    await guest.aclose()
    assert await common.loads() == []
    await common.close()


async def test_a_colleague_that_did_not_answer_is_met_by_the_next_project(tmp_path: Path) -> None:
    async with Playback(plain.says()) as endpoint, plain.met(endpoint, tmp_path) as choice:
        common = shared.SharedModel(choice)
        with pytest.raises(Unreachable):
            await common.guest().colleague(Target(endpoint="http://127.0.0.1:9/v1"))
        with pytest.raises(Unreachable):
            await common.guest().colleague(Target(endpoint="http://127.0.0.1:9/v1"))
        colleague = await common.guest().colleague(Target(endpoint=endpoint))
        assert (await colleague.backend.facts()).model == "plain"
        await common.close()


async def test_a_folder_that_cannot_be_written_stops_the_batch_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.company(tmp_path / "company")

    def refusing(self: Store, event: events.Any) -> None:
        raise JournalError("The log cannot be written.")

    monkeypatch.setattr(Store, "append", refusing)
    with pytest.raises(UserError, match=r"No run can be written under .*projects"):
        await plain.carried(tmp_path, plain.rows(2))
    monkeypatch.undo()
    assert len(await plain.carried(tmp_path, plain.rows(2))) == 2
