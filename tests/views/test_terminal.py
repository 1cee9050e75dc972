import io
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec
import pytest
from sample_log import HOSTILE, Log, answer, finished, hostile

from chatdev.journal import events
from chatdev.journal.store import Record, Store
from chatdev.redaction import Redactor
from chatdev.views.terminal import Terminal

CURSOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Sign(msgspec.Struct, frozen=True):
    kind: str
    text: str = ""
    seconds: float = 0.0
    tokens: int = 0
    call: str = ""


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Tty:
    """A real pseudo-terminal; what was written to it is read on a thread, so that no writer waits."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self._seen: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65_536):
                self._seen.append(data)
        except OSError:  # the other end is closed
            pass

    def close(self) -> str:
        """Everything that was shown."""
        if not self.stream.closed:
            self.stream.close()
            self._reader.join()
            os.close(self._master)
        return b"".join(self._seen).decode()


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tty]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Tty()
    yield terminal
    terminal.close()


def play(terminal: Terminal, records: list[Record]) -> None:
    with terminal:
        for record in records:
            terminal.on_record(record)


def test_a_pipe_gets_plain_lines_of_the_whole_run() -> None:
    stream = io.StringIO()
    play(Terminal(stream), finished())

    assert "\x1b" not in stream.getvalue()
    assert "\nCoding: Chief Technology Officer and Programmer\n  Programmer: no code  (" in stream.getvalue()
    assert "\n    -    print(1)\n    +    print(2)\n" in stream.getvalue()
    assert "\nverdict: passed\n" in stream.getvalue()


def test_quiet_leaves_phases_tests_warnings_and_the_verdict() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, quiet=True)
    terminal.on_progress("Programmer", Sign("waiting", seconds=500))
    play(terminal, finished())

    assert stream.getvalue().split("\n") == [
        "Calc: create a calculator",
        "OPENAI_API_KEY is a placeholder",
        "DemandAnalysis: Chief Executive Officer and Chief Product Officer",
        "  tests without the product: 2 of 3 fail (all should)",
        "Coding: Chief Technology Officer and Programmer",
        "TestModification, round 2: Software Test Engineer and Programmer",
        "  tests: 3 of 3 pass",
        "verdict: passed",
        "  Every test was run on the last version.",
        "",
    ]


def test_each_record_reaches_the_reader_at_once(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    store = Store(tmp_path / "events.jsonl")
    with os.fdopen(writer, "w") as stream, os.fdopen(reader) as seen:
        store.listen(Terminal(stream).on_record)
        store.append(events.PhaseBegan("Coding.1", "Coding", "Programmer"))
        assert seen.readline() == "Coding: Programmer\n"
    store.close()


def test_a_reader_that_went_away_does_not_stop_the_run() -> None:
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w")
    terminal = Terminal(stream)
    os.close(reader)

    play(terminal, finished())
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_closed_stream_does_not_stop_the_run() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    stream.close()

    play(terminal, finished())


def test_an_ascii_locale_replaces_what_it_cannot_write() -> None:
    data = io.BytesIO()
    terminal = Terminal(io.TextIOWrapper(data, encoding="ascii"))
    play(terminal, Log().add(answer("a.1", "Programmer", "naïve 漢 done")).records)

    assert b"na?ve ? done" in data.getvalue()


def test_a_pipe_hears_of_a_long_wait_at_growing_intervals() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for seconds in range(0, 121, 5):
        terminal.on_progress("Programmer", Sign("waiting", seconds=seconds))
    terminal.on_progress("Programmer", Sign("text", "main.py", 121.0, 1))

    assert stream.getvalue() == "".join(
        f"  Programmer: waiting for the first token, {seconds} s\n" for seconds in (15, 30, 60, 120)
    )


def test_another_request_of_the_same_role_waits_again() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for seconds in (16, 2, 16):
        terminal.on_progress("Programmer", Sign("waiting", seconds=seconds))

    assert stream.getvalue().count("waiting for the first token, 16 s") == 2


def test_two_calls_of_one_role_at_once_are_no_request_that_begins_again() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for seconds in range(80):
        terminal.on_progress("Programmer", Sign("waiting", seconds=seconds + 7, call="Coding.1/node.1"))
        terminal.on_progress("Programmer", Sign("waiting", seconds=seconds, call="Coding.1/node.2"))

    lines = stream.getvalue().splitlines()
    assert [line.split(",")[1].split()[0] for line in lines] == ["15", "30", "60"]
    assert lines[-1].endswith("(and 1 more in parallel)")


def test_an_answer_ends_its_own_call_alone(tty: Tty) -> None:
    clock = Clock()
    with Terminal(tty.stream, clock=clock) as terminal:
        for number, call in enumerate(("a.1", "a.2", "a.3")):
            clock.now += 1
            terminal.on_progress("Programmer", Sign("text", "x ", 1.0, 10 + number, call=call))
        terminal.on_record(Record(1, 0.0, answer("a.3", "Programmer", "third")))
        terminal.on_record(Record(2, 0.0, events.PhaseEnded("a.1", "Coding")))
        terminal.on_record(Record(3, 0.0, answer("a.2", "Programmer", "second")))
        terminal.on_server("idle")
    shown = CURSOR.sub("", tty.close())
    states = re.findall(r"Programmer: (\d+) tokens  x *(?:\(and (\d) more in parallel\))?", shown)
    assert [state for state, _ in itertools.groupby(states)][-3:] == [("12", "2"), ("11", "1"), ("11", "")]
    assert "server: idle" not in shown  # no call is left below which it is shown


def test_lines_beside_the_log_are_shown_clean() -> None:
    stream = io.StringIO()
    Terminal(stream, quiet=True).say("two\n\x1b[2Jlines")

    assert stream.getvalue() == "two\nlines\n"


def test_a_terminal_gets_colours_and_its_cursor_back(tty: Tty) -> None:
    play(Terminal(tty.stream), finished())
    shown = tty.close()

    assert "\x1b[1;32mverdict: passed" in shown
    assert shown.rfind("\x1b[?25l") <= shown.rfind("\x1b[?25h")


def test_a_terminal_shows_who_waits_and_who_writes_how_fast(tty: Tty) -> None:
    clock = Clock()
    with Terminal(tty.stream, clock=clock) as terminal:
        terminal.on_progress("Tester", Sign("waiting", seconds=12))
        for kind, text, seconds, tokens in (("reasoning", "hm", 2.0, 1), ("text", "def add(a, b):", 4.0, 81)):
            clock.now += 1
            terminal.on_progress("Programmer", Sign(kind, text, seconds, tokens))
        terminal.on_record(Record(1, 0.0, answer("a.1", "Programmer", "def add")))
        terminal.on_record(Record(2, 0.0, answer("a.2", "Nobody", "x")))
    shown = CURSOR.sub("", tty.close())

    assert "  Tester: waiting for the first token, 12 s" in shown
    assert "  Programmer: thinking, 1 tokens" in shown
    assert "  Programmer: 81 tokens, 40/s  hmdef add(a," in shown
    assert shown.rfind("Tester: waiting") > shown.rfind("Programmer: 81 tokens")  # who is done leaves the status


def test_a_secret_that_comes_in_pieces_is_not_shown(tty: Tty) -> None:
    clock = Clock()
    with Terminal(tty.stream, clock=clock, redact=Redactor(["sk-abcdef123456"]).text) as terminal:
        for number, piece in enumerate(("key = ", "sk-abc", "def123", "456", " # done ")):
            clock.now += 1
            terminal.on_progress("Programmer", Sign("text", piece, number, number))
    shown = CURSOR.sub("", tty.close())

    assert "key = ***" in shown
    assert "sk-" not in shown


def test_a_terminal_is_redrawn_at_most_ten_times_a_second(tty: Tty) -> None:
    clock = Clock()
    with Terminal(tty.stream, clock=clock) as terminal:
        for number in range(1_000):
            clock.now += 0.001
            terminal.on_progress("Programmer", Sign("text", "x", number / 1_000, number))

    assert 9 <= tty.close().count("Programmer: ") <= 12  # starting and stopping the status draw once more


def test_hostile_text_cannot_drive_the_terminal(tty: Tty) -> None:
    terminal = Terminal(tty.stream)
    terminal.on_progress(HOSTILE, Sign("text", HOSTILE, 1.0, 1))
    play(terminal, hostile())
    shown = tty.close()

    ours = CURSOR.sub("", shown)
    assert {match for match in CURSOR.findall(shown) if match[-1] not in "mKhlAG"} == set()
    assert "[/red]" in ours
    assert all(character.isprintable() for character in re.sub(r"[\r\n]", "", ours))


def test_a_dumb_terminal_gets_plain_lines(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal(tty.stream)
    terminal.on_progress("Programmer", Sign("text", "x", 1.0, 1))
    play(terminal, finished())

    assert "\x1b" not in tty.close()


def test_a_pipe_does_not_pay_for_rich() -> None:
    program = (
        "import io, sys; from chatdev.views import terminal, report, transcript, meta, statistics, show;"
        "terminal.Terminal(sys.stdout).say('shown'); print('rich' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "shown\nFalse\n"


def test_the_server_is_shown_below_the_calls_in_flight_and_never_alone(tty: Tty) -> None:
    terminal = Terminal(tty.stream, clock=Clock())
    assert terminal.live
    terminal.on_server("1 running")
    terminal.on_progress("Programmer", Sign("waiting", seconds=1))
    terminal.on_server("3 running, 12 waiting\x1b[2J")
    terminal.close()
    shown = tty.close()
    assert "server: 1 running" in shown
    assert shown.index("Programmer: waiting") < shown.index("server: 1 running")
    assert "server: 3 running, 12 waiting" in shown
    assert "\x1b[2J" not in shown


def test_plain_output_is_not_live() -> None:
    terminal = Terminal(io.StringIO())
    terminal.on_progress("Programmer", Sign("waiting", seconds=1))
    terminal.on_server("1 running")
    assert not terminal.live
