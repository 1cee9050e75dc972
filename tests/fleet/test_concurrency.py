from chatdev.fleet.concurrency import AdaptiveConcurrency, ConcurrencyController, FixedConcurrency
from chatdev.models.metrics import Load


def look(
    pace: ConcurrencyController,
    *loads: Load,
    running: int | None = None,
    calls: int = 0,
    tokens: int = 0,
    seconds: float = 0.0,
) -> int:
    running = pace.limit if running is None else running
    pace.adjust(loads, running=running, calls=calls, tokens=tokens, seconds=seconds, span=2.0)
    return pace.limit


def vllm(waiting: int = 0, running: int = 8, kv: float = 0.1, preemptions: int = 0) -> Load:
    return Load(engine="vllm", running=running, waiting=waiting, kv_used=kv, preemptions=preemptions)


def test_a_fixed_number_stays() -> None:
    assert look(FixedConcurrency(7), vllm(waiting=99)) == 7


def test_it_doubles_while_there_is_room_and_then_adds() -> None:
    pace = AdaptiveConcurrency(first=8, most=100)
    assert [look(pace, vllm()) for _ in range(3)] == [8, 16, 32]
    assert look(pace, vllm(waiting=20)) == 24
    assert [look(pace, vllm()) for _ in range(4)] == [24, 25, 26, 27]


def test_a_queue_that_is_empty_for_a_moment_is_no_room() -> None:
    pace = AdaptiveConcurrency(first=8, most=100)
    assert [look(pace, vllm(waiting)) for waiting in (0, 1, 0, 1, 0)] == [8] * 5


def test_it_never_goes_past_its_bounds() -> None:
    pace = AdaptiveConcurrency(first=8, most=10)
    assert [look(pace, vllm()) for _ in range(2)] == [8, 10]
    for _ in range(20):
        look(pace, vllm(waiting=20))
    assert pace.limit == 1
    assert AdaptiveConcurrency(first=8, most=3).limit == 3


def test_a_limit_falls_again_only_once_so_few_projects_run() -> None:
    pace = AdaptiveConcurrency(first=8)
    assert [look(pace, vllm(waiting=20), running=running) for running in (8, 8, 7, 6)] == [6, 6, 6, 4]
    assert look(pace, vllm(waiting=20), running=0) == 1


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    assert look(AdaptiveConcurrency(first=8), vllm(), running=5) == 8


def test_a_short_queue_keeps_the_number() -> None:
    assert look(AdaptiveConcurrency(first=8), vllm(waiting=1)) == 8


def test_a_full_cache_or_a_request_thrown_out_takes_a_quarter() -> None:
    assert look(AdaptiveConcurrency(first=8), vllm(kv=0.96)) == 6
    assert look(AdaptiveConcurrency(first=8), vllm(kv=0.9)) == 8
    pace = AdaptiveConcurrency(first=8)
    look(pace, vllm(preemptions=3, waiting=1))
    assert look(pace, vllm(preemptions=4)) == 6


def test_of_several_servers_one_with_room_is_room() -> None:
    pace = AdaptiveConcurrency(first=8)
    assert [look(pace, vllm(waiting=9), vllm()) for _ in range(2)] == [8, 16]
    assert look(AdaptiveConcurrency(first=8), vllm(waiting=9), vllm(waiting=9)) == 6


def simulated(capacity: int, looks: int = 60) -> list[int]:
    """A server without metrics that answers ``capacity`` calls at once in a second, and others after those."""
    pace, limits = AdaptiveConcurrency(first=8), []
    for _ in range(looks):
        running = pace.limit
        answer = max(1.0, running / capacity)
        calls = round(2 * running / answer)
        limits.append(look(pace, running=running, calls=calls, tokens=100 * calls, seconds=answer * calls))
    return limits


def test_without_metrics_it_finds_what_the_server_has() -> None:
    for capacity in (4, 30, 200):
        settled = simulated(capacity)[20:]
        assert min(settled) >= 0.5 * min(capacity, 8)
        assert max(settled) <= 2.2 * max(capacity, 8)
    assert min(simulated(200)[20:]) >= 100


def test_without_metrics_too_few_answers_tell_nothing() -> None:
    pace = AdaptiveConcurrency(first=8)
    assert look(pace, calls=3, tokens=300, seconds=3) == 8
    assert look(pace, calls=5, tokens=500, seconds=5) == 16


def test_a_server_that_reported_its_queue_and_is_too_busy_to_now_gets_no_more() -> None:
    pace = AdaptiveConcurrency(first=8, most=100)
    before = look(pace, vllm(waiting=0))
    assert [look(pace, calls=100, tokens=100_000, seconds=100) for _ in range(5)] == [before] * 5
