import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest

from chatdev.fleet import picture, summary
from chatdev.fleet.display import Display, clock
from chatdev.fleet.ledger import Result, Status
from chatdev.fleet.pool import PoolStatus


def result(name: str, status: Status = "passed", category: str = "", **more: object) -> Result:
    verdicts = {"passed": "passed", "failed": "failed (1 of 2)", "error": ""}
    plain = Result(
        name=name,
        verdict=verdicts[status],
        status=status,
        seconds=90.0,
        calls=3,
        prompt_tokens=1000,
        completion_tokens=200,
        cost=0.0,
        folder=f"projects/{name}",
        category=category,
    )
    return msgspec.structs.replace(plain, **more)


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("text")]


def test_the_summary_has_figures_pictures_and_what_did_not_pass(tmp_path: Path) -> None:
    results = [
        result("A", category="Game"),
        result("B", "failed", "Game", completion_tokens=9000),
        result("C|<x>", "error", error="the server\nbroke", cost=0.5),
    ]
    path = summary.write(tmp_path, results, 5)
    text = path.read_text()
    assert "3 of 5 projects finished: passed 1, failed 1, error 1." in text
    assert "| Game | 2 | 1 | 1 | 0 |" in text
    assert "| tokens | 12,400 | 1,200 | 10,000 |" in text
    assert "| elapsed time | 0:04:30 | 0:01:30 | 0:01:30 |" in text
    assert "- [B](<projects/B/REPORT.md>): failed (1 of 2)" in text
    assert r"C\|\<x\>" in text and "the server broke" in text
    assert "cost ($) | 0.50" in text
    for name in ("verdicts.svg", "tokens.svg", "seconds.svg"):
        assert f"({name})" in text
        ElementTree.parse(tmp_path / name)


def test_a_summary_of_nothing_or_of_nothing_but_success_says_so(tmp_path: Path) -> None:
    assert "0 of 2 projects" in summary.write(tmp_path, [], 2).read_text()
    assert not list(tmp_path.glob("*.svg"))
    assert "Every finished project passed." in summary.write(tmp_path, [result("A")], 1).read_text()


def test_of_many_failures_the_first_are_listed(tmp_path: Path) -> None:
    text = summary.write(tmp_path, [result(f"P{number}", "failed") for number in range(60)], 60).read_text()
    assert "and 10 more in results.csv" in text


def test_bars_are_stacked_and_the_rest_is_added_up() -> None:
    drawn = picture.stacked(
        "A & B", ("passed", "failed"), [(f"row {number}", (number, 1)) for number in range(30, 0, -1)]
    )
    shown = texts(drawn)
    assert shown[0] == "A & B"
    assert "11 others" in shown and str(sum(range(1, 12)) + 11) in shown
    widths = [float(each.get("width", 0)) for each in ElementTree.fromstring(drawn).iter() if each.get("class") == "s0"]
    assert widths[1] > widths[2]


@pytest.mark.parametrize("values", [[0.0], [5], [1.5, 99.0, 99.1, 100.0], [3, 1_000_000]])
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    drawn = picture.histogram("T", values, "tokens")
    counts = [int(text) for text in texts(drawn)[2::2]]
    assert sum(counts) == len(values)
    assert len(counts) <= 14


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def standing() -> PoolStatus:
    return PoolStatus(running=5, limit=8, out=4, calls=30, tokens=6000)


def test_a_terminal_shows_a_bar_below_the_finished_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    now, out = [100.0], Terminal()
    display = Display(out, 10, [result("A", cost=1.25)], standing, now=lambda: now[0])
    now[0] = 120.0
    display.tick()
    display.ended(result("B\x1b[2J", "error", error="no [bold]window"))
    display.tick()
    display.close()
    assert "[2/10] B: error: no [bold]window (3 calls, 0:01:30)\n" in out.getvalue()
    assert (
        "2 of 10 finished: 1 passed, 0 failed · errors: 1 · 5 running (limit 8) · 4 calls in flight, 300 tokens/s · "
        "$1.25 · 0:02:40 left"
    ) in out.getvalue()
    assert "━" in out.getvalue(), "the bar"
    assert out.getvalue().endswith("\x1b[2K"), "the status is cleared at the end"
    assert "\x1b[2J" not in out.getvalue()


def test_a_terminal_that_cannot_move_its_cursor_has_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    display = Display(out, 3, [], standing)
    display.tick()
    display.ended(result("A"))
    display.close()
    assert out.getvalue() == "[1/3] A: passed (3 calls, 0:01:30)\n"


def test_a_log_has_plain_lines_each_half_a_minute() -> None:
    now, out = [0.0], io.StringIO()
    display = Display(out, 3, [], standing, now=lambda: now[0])
    for seconds in (1.0, 29.0, 31.0, 40.0, 62.0, 100.0):
        now[0] = seconds
        display.tick()
    display.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert "left" not in lines[0] and "0 of 3 finished" in lines[0]
    assert "\x1b" not in out.getvalue()


def test_one_who_wants_quiet_hears_nothing() -> None:
    out = Terminal()
    display = Display(out, 3, [], standing, quiet=True)
    display.ended(result("A"))
    display.tick()
    display.close()
    assert out.getvalue() == ""


def test_a_clock_has_hours_minutes_and_seconds() -> None:
    assert (clock(0), clock(3725.4)) == ("0:00:00", "1:02:05")
