"""What a person reads: the table, the JSON, the picture, and the arithmetic behind them."""

import xml.etree.ElementTree as ET

import msgspec
import pytest
from benching import DEAD, WORKLOAD, endpoint, level, named, report

from chatdev.models.endpoint import Facts
from chatdev.ops.bench import figures, picture
from chatdev.ops.bench.contenders import MeasurableContender
from chatdev.ops.bench.figures import Spread, spread
from chatdev.ops.bench.measure import Level, Sample
from chatdev.ops.bench.report import as_json, markdown

SVG = "{http://www.w3.org/2000/svg}"


def test_percentiles_are_values_that_were_measured() -> None:
    assert spread(range(1, 101)) == Spread(50, 95)
    assert spread([3.0, None, 1.0]) == Spread(1.0, 3.0)
    assert spread([None]) is None


def sample(cost: float | None, cached_tokens: int | None = None) -> Sample:
    return Sample("answered", limit=4, tokens=4, prompt_tokens=96, cost=cost, cached_tokens=cached_tokens)


def of(*samples: Sample, busy: float = 0.1) -> figures.EndpointFigures:
    found = named("openai:gpt-6-luna", OPENAI_API_KEY="sk-1")
    one = Level(1, 2.0, busy, 1, samples)
    return figures.of_endpoint(MeasurableContender(found, Facts("", "gpt-6-luna")), [one], WORKLOAD)


def test_cost_is_reckoned_per_project_and_per_thousand_tokens() -> None:
    both = of(sample(0.01), sample(0.03))  # half of a project of 16 tokens, 200 tokens in all
    assert both.cost_per_project == pytest.approx(0.08)
    assert both.cost_per_1k_tokens == pytest.approx(0.2)
    assert of(sample(0.01), sample(None)).cost_per_project is None
    assert of(Sample("failed", 4, messages=("no",))).cost_per_1k_tokens is None


def test_answers_without_cached_tokens_count_where_others_tell_them() -> None:
    (shown,) = of(sample(0, cached_tokens=48), sample(0)).levels
    assert (shown.prefix_hits, shown.prefix_source) == (0.25, "usage")


def test_a_client_that_is_too_busy_is_reported() -> None:
    assert any("90 % of a core" in note for note in of(sample(0), busy=0.9).notes)
    assert not of(sample(0), busy=0.5).notes


def test_the_table_has_a_column_for_each_endpoint_and_a_dead_one_says_so() -> None:
    shown = report(endpoint(), DEAD)
    text = markdown(shown)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert all(len(row) == 3 for row in rows)
    cells = {row[0]: row[1:] for row in rows}
    assert cells["measured"] == ["yes", "no"]
    assert cells["time to first token at 8 in flight, p50 / p95 (ms)"] == ["50 / 200", "–"]
    assert cells["tokens/s at 1 / 8 in flight"] == ["100 / 700", "–"]
    assert cells["prefix-cache hits at 1 / 8, of prompt tokens"] == ["25 % / 25 %", "–"]
    assert cells["calls answered"] == ["90 % (18 of 20)", "–"]
    assert cells["errors"] == ["2", "–"]
    assert cells["retries"] == ["4", "–"]
    assert cells["cost per project (US dollars)"] == ["0", "–"]
    assert cells["engine"] == ["not reported", "–"]
    assert cells["context window (tokens)"] == ["4,096 (assumed)", "–"]
    assert cells["model, adapters and flags"] == ["yours to change", "–"]
    assert r"- `10.0.0.9:8000`: No model server \| answered." in text
    assert r"- `tiny at localhost:8001`: In 3 calls: without top\_p." in text
    assert text.endswith("- An answer may be as long as the recorded one.")
    assert shown.exit_status == 1


def test_where_nothing_was_measured_only_the_reasons_are_reported() -> None:
    assert markdown(report(DEAD)) == ("No endpoint was measured.\n\n- `10.0.0.9:8000`: No model server \\| answered.")


def test_what_is_not_reported_is_not_made_up() -> None:
    silent = msgspec.structs.replace(level(wait=None), prefix_hits=None)
    unknown = msgspec.structs.replace(endpoint("x", silent, silent), window=None, cost_per_project=None, own=False)
    text = markdown(report(unknown))
    for line in ("not reported / not reported", "| not known", "| the provider's"):
        assert line in text


def test_json_holds_all_figures() -> None:
    shown = msgspec.json.decode(as_json(report(endpoint(), DEAD)))
    assert shown["plan"] == {"levels": [1, 8], "seconds": 60.0, "projects": None}
    first, dead = shown["endpoints"]
    assert first["levels"][1]["tokens_per_second"] == 700
    assert first["levels"][0]["first_token"] == {"p50": 0.05, "p95": 0.2}
    assert (dead["measured"], dead["levels"]) == (False, [])


def test_the_picture_is_well_formed_and_has_a_bar_for_each_figure() -> None:
    odd = endpoint('<b> & "c"', level(), level(8, 0.0, wait=None))
    root = ET.fromstring(picture.svg(report(endpoint(), odd, DEAD)))
    texts = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
    assert '<b> & "c"' in texts
    assert "10.0.0.9:8000: not measured" in texts
    assert "700" in texts
    assert texts.count("50–200") == 3
    bars = [node for node in root.iter(f"{SVG}rect") if node.get("class", "").startswith("e")]
    assert len(bars) == 3 + 4 + 3  # the legend, tokens per second, and the waits that were told
    assert all(float(node.get("height", "")) > 0 for node in bars)
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    root = ET.fromstring(picture.svg(report(DEAD)))
    assert len(root.findall(f"{SVG}rect")) == 2


@pytest.mark.parametrize(("value", "end"), [(0, 1), (1, 1), (1.1, 2), (23, 25), (87, 100), (0.31, 0.4), (950, 1000)])
def test_an_axis_ends_at_a_round_number(value: float, end: float) -> None:
    assert picture.ceiling(value) == pytest.approx(end)
