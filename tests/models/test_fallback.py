"""Several endpoints as one model: who is asked, who is asked again, and who never more."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from helpers.fake_server import FakeServer, delta, hello, refuses, says, serving, sse, streams, usage

from chatdev.models import errors, retry
from chatdev.models.breaker import BreakerRegistry
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.fallback import Fallback
from chatdev.models.spending import CostBudget
from chatdev.models.types import Completion, Message, Options, Target
from chatdev.settings import Deadlines, Secret, Settings

HI = (Message("user", "hi"),)
BUSY = b"vllm:num_requests_running 7.0\nvllm:num_requests_waiting 3.0\n"
IDLE = b"vllm:num_requests_running 0.0\nvllm:num_requests_waiting 0.0\n"
SILENT = streams(hang=True)
BROKEN = refuses("engine", 500)
DEAD = "http://127.0.0.1:9/v1"


class Make:
    """Makes models of endpoints, and closes them all."""

    def __init__(self) -> None:
        self.made: list[Fallback] = []

    def __call__(
        self,
        *urls: str,
        breakers: BreakerRegistry | None = None,
        last: EndpointModel | None = None,
        deadlines: Deadlines | None = None,
        backoff: Sequence[float] = (0.0,),
    ) -> Fallback:
        settings = Settings(vllm_endpoint=urls[0], more_endpoints=urls[1:], deadlines=deadlines or Deadlines())
        breakers = breakers or BreakerRegistry(backoff, rest=3600)
        own = [EndpointModel.of_vllm(settings, Target("", url), breakers=breakers) for url in urls]
        self.made.append(Fallback(own, last, backoff=breakers.backoff))
        return self.made[-1]


@pytest.fixture
async def of() -> AsyncIterator[Make]:
    make = Make()
    yield make
    for model in make.made:
        await model.aclose()


async def asked(model: Fallback, times: int = 1) -> list[Completion]:
    return [await model.complete(HI, Options(request_id="A.1")) for _ in range(times)]


def openai(server: FakeServer, limit: float | None = None, *, paid: bool = True) -> EndpointModel:
    settings = Settings(openai_base_url=server.url, openai_api_key=Secret("sk-123456"), openai_model="gpt-x")
    model = EndpointModel.of_openai(settings, cost_budget=CostBudget(limit))
    model.address = msgspec.structs.replace(model.address, free=not paid)
    return model


async def test_an_endpoint_that_fails_is_asked_again_then_left_alone_and_tried_once_after_its_rest(of: Make) -> None:
    breakers = BreakerRegistry((0.0,), rest=0.05)
    async with serving(BROKEN, BROKEN, BROKEN, streams(hello())) as bad, serving() as good:
        model = of(bad.url, good.url, breakers=breakers)
        first, second = await asked(model, 2)
        assert (first.receipt.endpoint, first.receipt.tries) == (good.url, 3)
        assert first.receipt.tried == (f"{bad.url}: The server failed (HTTP status 500): engine. (2 tries)",)
        assert second.receipt.tries == 2 and len(bad.asked) == 3
        (third,) = await asked(model)
        assert third.receipt.tries == 1 and "skipped (circuit breaker open)" in third.receipt.tried[0]
        while breakers.breaker(bad.url, "default").state != "half-open":
            await asyncio.sleep(0.01)
        (fourth,) = await asked(model)
        assert (fourth.receipt.endpoint, fourth.receipt.tried) == (bad.url, ())


async def test_while_one_call_probes_the_others_do_not_wait_for_it(of: Make) -> None:
    slow = streams(0.3, hello())
    async with serving(slow) as first, serving() as second:
        breakers = BreakerRegistry((), rest=0.0)
        model = of(first.url, second.url, breakers=breakers)
        await model.facts()
        breakers.breaker(first.url, "default").trip("it was down")
        answers = await asyncio.gather(*(model.complete(HI, Options()) for _ in range(5)))
    assert sorted(each.receipt.endpoint == first.url for each in answers) == [False] * 4 + [True]


async def test_an_endpoint_that_was_down_at_the_start_is_used_when_it_is_up(of: Make) -> None:
    async with serving() as good:
        async with serving(models={"data": [{"id": "larger"}]}) as later:
            url = later.url
        model = of(url, good.url, breakers=BreakerRegistry((), rest=0.0))
        assert (await model.facts()).base_url == good.url
        assert model.notes[0].startswith(f"No model server answered at {url}")
        assert "(not reached)" in model.notes[1]
        (answer,) = await asked(model)
        assert answer.receipt.endpoint == good.url


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (refuses("no", 401), errors.KeyRefused),
        (says({"error": "Unauthorized"}, 401), errors.KeyRefused),
        (refuses("no", 403), errors.KeyRefused),
        (refuses("The model `default` does not exist.", 404), errors.ModelNotServed),
        (refuses("a field is wrong", 422), errors.RequestRefused),
    ],
)
async def test_what_a_person_must_correct_puts_an_endpoint_out_for_the_run(
    of: Make, trouble: object, error: type[errors.ModelError]
) -> None:
    async with serving(trouble) as bad, serving() as good:  # type: ignore[arg-type]
        model = of(bad.url, good.url)
        first, second = await asked(model, 2)
        assert len(bad.asked) == 1
        assert [each.receipt.endpoint for each in (first, second)] == [good.url] * 2
        assert second.receipt.tried[0].startswith(f"{bad.url}: skipped for the rest of this run: ")
        alone = of(bad.url)
        for _ in range(2):
            with pytest.raises(error) as raised:
                await asked(alone)
            assert raised.value.tried == ()
        assert len(bad.asked) == 2


async def test_where_all_are_out_or_failing_the_first_error_tells_of_every_endpoint(of: Make) -> None:
    async with serving(refuses("no", 401)) as first, serving(BROKEN) as second, serving(BROKEN) as third:
        model = of(first.url, second.url, third.url)
        with pytest.raises(errors.ServerBroke) as error:  # the one that may be over comes before the one that is not
            await asked(model)
        assert len(error.value.tried) == 3


async def test_where_all_breakers_are_open_a_last_try_is_made(of: Make) -> None:
    async with serving() as first, serving() as second:
        breakers = BreakerRegistry((0.0,), rest=3600)
        model = of(first.url, second.url, breakers=breakers)
        await model.facts()
        for server in (first, second):
            breakers.breaker(server.url, "default").trip("it was down")
        (answer,) = await asked(model)
    assert (answer.receipt.endpoint, len(answer.receipt.tried)) == (first.url, 1)


async def test_a_prompt_that_does_not_fit_goes_to_an_endpoint_with_a_larger_window(of: Make) -> None:
    small = {"data": [{"id": "small", "max_model_len": 300}]}
    long = (Message("user", "word " * 2_000),)
    read = streams(sse(delta(content="Hello"), delta("stop"), usage(prompt_tokens=2_500)))
    async with serving(models=small) as first, serving(read) as second:
        model = of(first.url, second.url)
        assert await model.least_window() == 300
        answer = await model.complete(long, Options())
        assert answer.receipt.endpoint == second.url and not first.asked
        assert "does not fit" in answer.receipt.tried[0]
        (short,) = await asked(model)
        assert short.receipt.endpoint == first.url


@pytest.mark.parametrize(("page", "requests"), [(BUSY, 1), (IDLE, 2)])
async def test_a_timeout_is_not_sent_again_into_a_queue_that_is_full(of: Make, page: bytes, requests: int) -> None:
    quick = Deadlines(first_token=0.1, total=60)
    async with serving(SILENT, pages={"/metrics": says(page)}) as server:
        model = of(server.url, deadlines=quick)
        with pytest.raises(errors.Stalled) as error:
            await asked(model)
        assert len(server.asked) == requests
    assert ("3 requests are already waiting there" in str(error.value)) == (requests == 1)


async def test_without_metrics_the_breaker_says_whether_a_timeout_is_worth_another_try(of: Make) -> None:
    async with serving(SILENT) as server:
        model = of(server.url, deadlines=Deadlines(first_token=0.05), backoff=(0.0,) * 9)
        with pytest.raises(errors.Stalled, match="its last calls all failed"):
            await asked(model)
        assert len(server.asked) == 3


async def test_retry_after_is_honoured_up_to_the_deadline(of: Make) -> None:
    later = says({"error": {"message": "busy"}}, 429, Retry_After="0.01")
    never = says({"error": {"message": "busy"}}, 429, Retry_After="3000")
    async with serving(later, streams(hello())) as server:
        model = of(server.url)
        assert (await asked(model))[0].receipt.tries == 2
    async with serving(never) as server:
        model = of(server.url, deadlines=Deadlines(total=600))
        with pytest.raises(errors.Overloaded, match=r"not retried: waiting [0-9]+ s more would exceed deadlines"):
            await asked(model)
        assert len(server.asked) == 1
    async with serving(never) as server, serving() as good:
        model = of(server.url, good.url)
        (answer,) = await asked(model)
        assert (answer.receipt.endpoint, answer.receipt.tries) == (good.url, 2)


async def test_a_server_that_loads_its_model_is_waited_for_unless_another_is_left(
    of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "LOADING", 0.0)
    loading = refuses("Loading model", 503)
    async with serving(*[loading] * 9, streams(hello())) as server:
        (answer,) = await asked(of(server.url, backoff=()))
        assert answer.receipt.tries == 10
    async with serving(loading) as server:
        monkeypatch.setattr(retry, "LOADING", 1000.0)
        with pytest.raises(errors.Loading, match="is not ready yet: Loading model"):
            await asked(of(server.url, deadlines=Deadlines(total=600)))
        assert len(server.asked) == 1
    async with serving(loading) as server, serving() as good:
        (answer,) = await asked(of(server.url, good.url))
        assert (answer.receipt.endpoint, answer.receipt.tries) == (good.url, 3)


async def test_runs_are_spread_over_replicas_and_each_is_kept_on_its_own(of: Make) -> None:
    breakers = BreakerRegistry((), rest=3600)
    async with serving() as first, serving() as second:
        runs = [of(first.url, second.url, breakers=breakers) for _ in range(4)]
        homes = [(await run.facts()).base_url for run in runs]
        assert homes == [first.url, second.url, first.url, second.url]
        for run, home in zip(runs, homes, strict=True):
            many = await asyncio.gather(*(run.complete(HI, Options()) for _ in range(3)))
            assert {each.receipt.endpoint for each in many} == {home}
        for run in runs:
            await run.aclose()
        again = of(first.url, second.url, breakers=breakers)
        assert (await again.facts()).base_url == first.url
        await again.aclose()


async def test_a_run_begins_on_the_replica_that_says_it_has_less_to_do(of: Make) -> None:
    async with serving(pages={"/metrics": says(BUSY)}) as busy, serving(pages={"/metrics": says(IDLE)}) as idle:
        model = of(busy.url, idle.url)
        assert (await model.facts()).base_url == idle.url
        load = await model.load()
        assert load is not None and load.running == 0


async def test_a_replica_that_fails_is_replaced_by_the_other_until_it_is_well(of: Make) -> None:
    async with serving() as first, serving(BROKEN, streams(hello())) as second:
        breakers = BreakerRegistry((), rest=0.0)
        other, model = of(first.url, second.url, breakers=breakers), of(first.url, second.url, breakers=breakers)
        await other.facts()
        one, two = await asked(model, 2)
        assert [one.receipt.endpoint, two.receipt.endpoint] == [first.url, second.url]
        await other.aclose()
        await model.aclose()


async def test_another_model_is_no_replica_but_the_next_one_to_ask(of: Make) -> None:
    breakers = BreakerRegistry((), rest=3600)
    async with serving() as first, serving(models={"data": [{"id": "other"}]}) as second:
        await of(first.url, second.url, breakers=breakers).facts()
        model = of(first.url, second.url, breakers=breakers)
        assert (await model.facts()).base_url == first.url
    assert "(default)" in model.notes[0] and "(other)" in model.notes[0]


async def test_openai_is_not_spoken_to_before_it_is_needed_and_left_again(of: Make) -> None:
    async with (
        serving(streams(hello()), BROKEN, streams(hello())) as own,
        serving(models={"data": [{"id": "gpt-x"}]}) as cloud,
    ):
        model = of(own.url, last=openai(cloud), breakers=BreakerRegistry((), rest=0.0))
        (first,) = await asked(model)
        assert not cloud.got and not cloud.asked
        second, third = await asked(model, 2)
    assert [each.receipt.endpoint for each in (first, second, third)] == [own.url, cloud.url, own.url]
    assert second.receipt.cost is None  # nobody knows the price of gpt-x
    assert model.notes[0] == f"If none of your servers answers, OpenAI is used instead: gpt-x at {cloud.url}."
    assert "calls cost money; --local-only forbids that" in model.notes[1]


async def test_a_private_server_in_openais_place_takes_no_money_and_no_warning(of: Make) -> None:
    async with serving() as own, serving(models={"data": [{"id": "gpt-x"}]}) as cloud:
        model = of(own.url, last=openai(cloud, paid=False))
        await model.facts()
    assert len(model.notes) == 1


async def test_what_openai_may_take_is_checked_before_it_is_asked(of: Make) -> None:
    async with serving(BROKEN) as own, serving(models={"data": [{"id": "gpt-x"}]}) as cloud:
        model = of(own.url, last=openai(cloud, limit=5.0))
        with pytest.raises(errors.ServerBroke) as error:
            await asked(model)
        assert not cloud.asked
    assert any("price of gpt-x is not known" in line for line in error.value.tried)
    assert "$5 at most" in model.notes[1]


async def test_a_model_that_openai_shut_down_is_reported_at_the_start_and_not_asked_for(of: Make) -> None:
    settings = Settings(openai_api_key=Secret("sk-123456"), openai_model="gpt-4")
    async with serving(streams(hello()), BROKEN) as own:
        model = of(own.url, last=EndpointModel.of_openai(settings), backoff=())
        await model.facts()
        assert len(model.notes) == 1 and model.notes[0].startswith("OpenAI shut gpt-4 down on ")
        await asked(model)
        with pytest.raises(errors.ServerBroke) as error:
            await asked(model)
    assert "skipped for the rest of this run: OpenAI shut gpt-4 down" in error.value.tried[1]
    with pytest.raises(errors.Unreachable) as nobody:
        await of(DEAD, last=EndpointModel.of_openai(settings)).facts()
    assert nobody.value.tried[0].startswith("OpenAI shut gpt-4 down")


async def test_an_address_that_is_no_model_server_is_no_reason_to_pay_somebody_else(of: Make) -> None:
    async with serving(pages={"/v1/models": b"<html>"}) as page, serving() as cloud:
        with pytest.raises(errors.NotAModelServer):
            await of(page.url, last=openai(cloud)).facts()


async def test_a_name_that_is_not_served_lets_openai_begin_and_says_so() -> None:
    async with serving(models={"data": [{"id": "other"}]}) as own, serving(models={"data": [{"id": "gpt-x"}]}) as cloud:
        settings = Settings(vllm_endpoint=own.url)
        model = Fallback([EndpointModel.of_vllm(settings, Target("nope"))], openai(cloud))
        assert (await model.facts()).base_url == cloud.url
        assert '"nope" is not served' in model.notes[0]
        await model.aclose()


async def test_where_openai_refuses_too_what_became_of_the_others_is_reported(of: Make) -> None:
    async with serving(pages={"/v1/models": refuses("no", 401)}) as cloud:
        with pytest.raises(errors.KeyRefused) as error:
            await of(DEAD, last=openai(cloud)).facts()
    assert DEAD in error.value.tried[0]


async def test_where_no_one_answers_at_the_start_all_are_named(of: Make) -> None:
    with pytest.raises(errors.Unreachable) as error:
        await of(DEAD, "http://127.0.0.1:10/v1").facts()
    assert DEAD in error.value.what and ":10/v1" in error.value.tried[0]


async def test_debug_says_when_the_next_endpoint_is_tried_and_closing_twice_is_allowed(of: Make) -> None:
    async with serving(BROKEN) as bad, serving() as good:
        model = of(bad.url, good.url)
        texts: list[str] = []
        model.debug = texts.append
        assert (await model.complete(HI, Options(temperature=0))).text == "Hello"
        assert any("trying the next endpoint: " in text for text in texts)
        await model.aclose()
        await model.aclose()


async def test_an_answer_that_ignores_its_limit_is_left(of: Make) -> None:
    endless = [delta(content="again ")] * 500
    async with serving(streams(sse(*endless, delta("stop"), usage()))) as server:
        model = of(server.url, backoff=())
        with pytest.raises(errors.CutShort, match="ignored the token limit"):
            await model.complete(HI, Options(max_tokens=20))
