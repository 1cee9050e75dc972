"""The wording of a run's results, shared by the report, the terminal and ``chatdev show``."""

from chatdev.journal import events
from chatdev.views.path import Path
from chatdev.views.summary import CallTotals, Summary
from chatdev.views.text import one_line


def headline(run: Summary) -> str:
    """The verdict in one line, for a reader who did not watch the run."""
    if run.started is None and not run.attempts:
        return "No run: the log is empty"
    if not run.verdict:
        why = run.stopped.why if run.stopped else "it was interrupted, or is still running"
        return f"Not finished: {why}"
    state, _, rest = run.verdict.partition(" (")
    passed, total = score(run.tests)
    everything = f"all {total} acceptance tests pass" if total > 1 else "the one acceptance test passes"
    result = f"{passed} of {total} acceptance tests pass" if passed < total else everything
    if state == "passed":
        hollow = f" ({len(run.vacuous)} of them without the product too)" if run.vacuous else ""
        return f"Passed: {result}{hollow}" if total else "Passed"
    if state == "failed":
        return f"Failed, although {result}" if total and passed == total else f"Failed: {result}" if total else "Failed"
    return f"Not tested: {rest.removesuffix(')')}" if state == "not run" and rest else run.verdict.capitalize()


def score(ran: events.TestsRan | None) -> tuple[int, int]:
    """How many tests passed, and of how many."""
    results = ran.results if ran else ()
    return sum(result.outcome == "passed" for result in results), len(results)


def started(product: events.ProductStarted) -> str:
    """How the product behaved when it was started."""
    outcome = {
        "exited": f"exited with status {product.exit_status}",
        "alive": "ran until ChatDev stopped it, like a server or a program that waits for input",
        "crashed": "crashed",
        "missing": "could not be started",
    }[product.how]
    needs = f"needs {product.needs}" if product.needs else ""
    made = f", and created {', '.join(product.made)}" if product.made else ""
    return ": ".join(part for part in (outcome + made, product.why or needs) if part)


def tokens(work: CallTotals) -> str:
    """Prompt and completion tokens, and how many of them are estimated or came from the prefix cache."""
    about = "about " if work.estimated else ""
    text = f"{about}{work.prompt_tokens:,} prompt and {work.completion_tokens:,} completion tokens"
    if work.cached_tokens:
        text += f", {work.cached_tokens:,} of them from the prefix cache"
    if work.estimated:
        text += f" (estimated for {work.estimated} of {count(work.calls, 'call')}: the server sent no counts)"
    return text


def count(number: float, noun: str) -> str:
    """``1 line``, ``1,024 lines``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(cost: float | None) -> str:
    """US dollars; ``unknown`` if the price of a model is unknown."""
    return "unknown" if cost is None else f"${cost:.4f}" if cost else "$0"


_LONGEST = 1e12
"""Seconds: a longer duration than 30,000 years comes from a damaged clock or a strange log."""


def seconds(value: float) -> str:
    """A duration in readable units: ``7.8 s``, ``2 min 5 s``, ``1 h 3 min``; ``unknown`` if it makes no sense."""
    if not abs(value) < _LONGEST:
        return "unknown"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def standing(each: events.CandidateResult) -> str:
    """A candidate's result: ``candidate 2: 9 of 9 tests pass, won``."""
    parts = [f"{each.passed} of {each.tests} tests pass"] if each.tests else []
    if each.calls:
        parts.append(f"stopped after {count(each.tokens, 'token')}")
    parts.append(f"failed ({each.why})" if each.how == "failed" else each.how)
    return f"candidate {each.number}: {', '.join(parts)}"


def critical(found: Path) -> str:
    """What made up a run's elapsed time: ``51.2 s in 10 calls, 1.1 s in 4 program runs, 0.8 s between them``."""
    calls = sum(leg.call for leg in found.legs)
    programs = len(found.legs) - calls
    parts = [f"{seconds(found.calls)} in {count(calls, 'call')}"]
    if programs:
        parts.append(f"{seconds(found.programs)} in {count(programs, 'program run')}")
    return ", ".join([*parts, f"{seconds(found.between)} between them"])


_UNITS = {"calls": "call", "tokens": "token", "minutes": "minute"}


def limit(reached: events.LimitReached) -> str:
    """Which limit was reached, and what was spent: ``the run's limit of 10 calls was reached (10 calls spent)``."""

    def amount(value: float) -> str:
        number = round(value, 2) if value % 1 else int(value)
        return money(value) if reached.limit == "cost" else count(number, _UNITS[reached.limit])

    whose = f"{reached.phase}'s limit" if reached.phase else "the run's limit"
    return f"{whose} of {amount(reached.at_most)} was reached ({amount(reached.spent)} spent)"


def call(answer: events.ModelAnswered) -> str:
    """What one call used: tokens, tokens per second, time, and anything unusual."""
    about = "about " if answer.estimated else ""
    parts = [f"{about}{answer.prompt_tokens:,} + {answer.completion_tokens:,} tokens"]
    writing = answer.seconds - (answer.first_token or 0.0)
    if writing > 0.05:  # too short to measure a rate
        parts.append(f"{answer.completion_tokens / writing:.0f}/s")
    parts.append(seconds(answer.seconds))
    if answer.tries > 1:
        parts.append(f"{answer.tries} tries")
    if answer.stopped:
        parts.append(f"stopped early: {answer.stopped}")
    elif answer.finish_reason == "length":
        parts.append("cut at the token limit")
    return ", ".join(parts)


def empty(text_in: str) -> str:
    """Where the text of an empty answer was, and what to set so that it is in the answer."""
    if text_in in ("tool_calls", "function_call"):
        do = "Start the server without a tool-call parser (vLLM: --enable-auto-tool-choice), or serve another model."
    elif text_in == "refusal":
        do = "The model refused. Word the task differently, or use another model."
    else:
        do = (
            "Allow longer answers (max_tokens), turn thinking off, or start the server with this model's reasoning "
            "parser or with none (vLLM: --reasoning-parser)."
        )
    return f"the text was in {one_line(text_in, 40)}, not in content. {do}"


def jump(event: events.ClockJumped) -> str:
    """Time between two records in which no work was done."""
    if event.seconds < 0:
        return f"the clock was set back by {seconds(-event.seconds)}"
    return f"the machine slept for {seconds(event.seconds)}, or its clock was set"


def server(counted: events.ServerCounted) -> str:
    """The model server's counters for the duration of an attempt, all clients included."""
    parts = []
    if counted.prefix_queries and counted.prefix_hits is not None:
        share = 100 * counted.prefix_hits / counted.prefix_queries
        parts.append(f"{share:.0f} % of {count(counted.prefix_queries, 'prompt token')} found in the prefix cache")
    if counted.preemptions is not None:
        parts.append(count(counted.preemptions, "preemption"))
    return ", ".join(parts)
