"""The picture of a network, from logs of a few answers."""

import re

import pytest
from helpers.events import model_answered

from chatdev.journal import events
from chatdev.journal.store import Record
from chatdev.views.network import picture


def answered(place: str, tokens: int = 5) -> events.ModelAnswered:
    return model_answered(place, completion_tokens=tokens)


def log(*places: str, network: str = '{"topology":"tree","agents":3}', verdict: str = "passed") -> list[Record]:
    start = events.RunStarted(
        schema=events.SCHEMA, version="1", name="A<b>", org="O", stamp="1", task="t", company="c", model="m",
        network=network,
    )  # fmt: skip
    found: list[events.Any] = [start, *map(answered, places)]
    if verdict:
        found.append(events.RunFinished("Verdict.1", verdict))
    return [Record(number, 0.0, event) for number, event in enumerate(found, 1)]


def test_a_run_without_a_network_has_no_picture() -> None:
    assert picture(log("Coding.1/Programmer.1/ask.1", network="")) == ""


def test_each_agent_is_a_dot_and_each_review_a_line() -> None:
    drawn = picture(
        log(
            "Coding.1/node.1/Programmer.1/ask.1",
            "Coding.1/edge-1.2/CodeReviewer.1/ask.1",
            "Coding.1/edge-1.3/CodeReviewer.1/ask.1",
            "Coding.1/node.2/Programmer.1/ask.1",
            "Coding.1/node.2/Programmer.1/ask.2",
            "Coding.1/node.3/merge.1/Programmer.1/ask.1",
            "Coding.1/node.3/Programmer.1/ask.1",
            "Coding.1/final.1/Programmer.1/ask.1",
        )
    )
    assert "A&lt;b&gt;: tree of 3 agents, 2 edges, 7 calls, 105 tokens: passed" in drawn
    assert len(re.findall("<circle", drawn)) == 3
    assert len(re.findall('class="edge"', drawn)) == 2
    assert 'class="again"' in drawn
    assert 'class="once merged"' in drawn
    assert "agent 3: 1 answers, 1 merges, 10 tokens" in drawn


@pytest.mark.parametrize("agents", [100, 1000])
def test_a_long_chain_goes_on_in_the_next_row(agents: int) -> None:
    places = [f"Coding.1/node.{number}/Programmer.1/ask.1" for number in range(1, agents + 1)]
    places += [f"Coding.1/edge-{number}.{number + 1}/CodeReviewer.1/ask.1" for number in range(1, agents)]
    drawn = picture(log(*places, network='{"edges":[["a","b"]]}', verdict=""))
    width, height = map(int, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0])
    assert width <= 1200
    assert height <= 2000
    assert ": not finished" in drawn
    assert len(set(re.findall(r'cx="(\d+)" cy="(\d+)"', drawn))) == agents


def test_of_very_many_edges_some_are_drawn() -> None:
    places = [f"Coding.1/node.{number}/Programmer.1/ask.1" for number in range(1, 121)]
    places += [f"Coding.1/edge-{a}.{b}/CodeReviewer.1/ask.1" for a in range(1, 121) for b in range(a + 1, 121)]
    drawn = picture(log(*places))
    assert "4,000 of 7,140 edges are drawn" in drawn
    assert 3_000 < len(re.findall('class="edge"', drawn)) <= 4_000
