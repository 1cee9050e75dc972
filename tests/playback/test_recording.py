import re
from pathlib import Path

import pytest
from helpers.events import model_answered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatdev.journal import events
from chatdev.journal.store import JournalError, Store
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording, RecordingError, choose, from_log, load, parse, read, write

NAMES = st.text(st.characters(categories=["L", "Nd"], include_characters="_-"), max_size=8)
SEGMENTS = st.builds("{}.{}".format, NAMES, st.integers(0, 99))
PLACES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
TEXTS = st.text() | st.lists(st.sampled_from(["=== a.1", "\\=== b", "\\\\=== ", "===", "+++", "", "\r", "x"])).map(
    "\n".join
)
ENTRIES = st.builds(Entry, place=PLACES, text=TEXTS, finish=st.just("stop") | st.text(), reasoning=TEXTS) | st.builds(
    Entry, when=TEXTS, text=TEXTS
)
MANNERS = st.builds(
    FaultSpec,
    attempt=st.none() | st.integers(1, 5),
    place=st.none() | st.text(),
    per_token=st.none() | st.floats(0, 10),
    fault=st.sampled_from(["cut", "stall", None]),
    refuse_fields=st.none() | st.lists(st.text()).map(tuple),
    no_done=st.none() | st.booleans(),
)
RECORDINGS = st.builds(
    Recording,
    model=st.text(),
    window=st.integers(1, 10**6),
    task=st.text(),
    name=st.text(),
    manner=st.lists(MANNERS, max_size=2).map(tuple),
    entries=st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.title).map(tuple),
)

SMALL = """+++
task = "say hello"
+++

=== Coding.1/Programmer.1/ask.1
first line

  third line

=== when "it's" {finish = "length", reasoning = "a\\nb"}
\\=== not a header
\\\\=== a backslash of its own
=== last.1"""

PATIENT = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@PATIENT
@given(RECORDINGS)
def test_what_is_written_reads_back_the_same(recording: Recording) -> None:
    assert parse(write(recording)) == recording


@PATIENT
@given(st.lists(st.sampled_from(["+++", "=== a.1/b.2", "=== when 'x'", "=== ", "\\=== x", "window = 1", "", "?"])))
def test_any_text_is_a_recording_or_a_recording_error(lines: list[str]) -> None:
    try:
        parse("\n".join(lines))
    except RecordingError as error:
        assert "recording" in error.what


def test_an_answer_is_verbatim_but_for_its_final_newline() -> None:
    entries = parse(SMALL).entries
    assert entries[0] == Entry(place="Coding.1/Programmer.1/ask.1", text="first line\n\n  third line\n")
    assert entries[2] == Entry(place="last.1", text="")


def test_attributes_and_escapes_are_read() -> None:
    rule = parse(SMALL).entries[1]
    assert (rule.when, rule.finish, rule.reasoning) == ("it's", "length", "a\nb")
    assert rule.text == "=== not a header\n\\=== a backslash of its own"


def test_the_head_has_defaults() -> None:
    recording = parse(SMALL)
    assert (recording.model, recording.window, recording.task, recording.manner) == ("default", 32768, "say hello", ())


def test_carriage_returns_after_rulers_and_headers_do_no_harm() -> None:
    assert parse("+++\r\nwindow = 5\r\n+++\r\n=== a.1\r\nx\n").entries == (Entry(place="a.1", text="x"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"line 1: expected \+\+\+ at the start"),
        ("=== a.1\nx", r"line 1: expected \+\+\+ at the start"),
        ("+++\nwindow = 1\n=== a.1", r"line 3: expected \+\+\+ at the end"),
        ("+++\n\nwindow == 1\n+++", r"the head is not TOML: .*line 3"),
        ("+++\nwindow = 'wide'\n+++", r"head cannot be used: Expected `int`, got `str` - at `\$.window`"),
        ("+++\nwindow = 0\n+++", r"`\$.window`"),
        ("+++\nentries = []\n+++", r"unknown field `entries`"),
        ("+++\n+++\n\nhello\n=== a.1\n", r"line 4: expected `=== PLACE` or `=== when"),
        ("+++\n+++\nhello", r"line 3: expected `=== PLACE`"),
        ("+++\n+++\n=== a.1\nx\n=== Coding\n", r"line 5: expected .*needs a \\ before it"),
        ("+++\n+++\n=== when hello\n", r"line 3: expected"),
        ('+++\n+++\n=== when "\\q"\n', r"line 3: .*Unescaped"),
        ("+++\n+++\n=== a.1 {end = 'x'}\n", r"line 3: .*unknown field `end`"),
        ("+++\n+++\n=== a.1 {finish = stop}\n", r"line 3: Invalid value"),
        ("+++\n+++\n=== a.1\n\n=== a.1\n", r"line 5: a.1 already has an answer, at line 3"),
        ("+++\n+++\n=== when 'x'\n=== when \"x\"\n", r'line 4: when "x" already has an answer, at line 3'),
    ],
)
def test_errors_name_the_line_and_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(RecordingError, match=expected) as caught:
        parse(text, "my.recording")
    assert caught.value.what.startswith("my.recording")
    assert caught.value.exit_status == 2


def test_an_entry_without_a_place_cannot_be_written() -> None:
    with pytest.raises(RecordingError, match="'nowhere' is not a place"):
        write(Recording(entries=(Entry(place="nowhere"),)))


def test_a_place_goes_before_a_rule_and_the_first_rule_before_the_next() -> None:
    entries = (Entry(when="b", text="1"), Entry(when="", text="2"), Entry(place="a.1", text="3"))
    recording = Recording(entries=entries)
    found = [recording.find("a.1", "b"), recording.find("a.2", "a b c"), recording.find("", "c")]
    assert [entry and entry.text for entry in found] == ["3", "1", "2"]


def test_the_nearest_entry_is_the_place_alike_or_the_rule_that_holds_most() -> None:
    places = (Entry(place="Coding.1/ask.1"), Entry(place="Manual.1/ask.1"))
    rules = (Entry(when="write the tests"), Entry(when="review the code"))
    assert Recording(entries=places + rules).nearest("Coding.1/ask.2", "") == places[0]
    assert Recording(entries=places + rules).nearest("", "Please review a code.") == rules[1]
    assert Recording(entries=rules).nearest("Coding.1/ask.2", "Now write tests") == rules[0]
    assert Recording(entries=(Entry(when=""),)).nearest("", "x") == Entry(when="")
    assert Recording().nearest("a.1", "x") is None


def test_of_several_recordings_the_one_with_the_longest_task_in_the_text_is_chosen() -> None:
    short, long, any_task = Recording(task="a todo app"), Recording(task="make a todo app"), Recording()
    assert choose([short, long], ["Task:", "make a todo app now"]) == long
    assert choose([short, long], ["a game"]) is None
    assert choose([short, any_task], ["a game"]) == any_task
    assert choose([short], ["a game"]) == short


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.recording"
    path.write_bytes(b"\xef\xbb\xbf+++\n+++\n=== a.1\n\xc3\xa9\n")
    assert load(path).entries == (Entry(place="a.1", text="é"),)


def test_a_file_that_is_missing_or_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.recording"
    with pytest.raises(RecordingError, match=r"a\.recording cannot be read"):
        read(path)
    path.write_bytes(b"+++\n+++\n\xff\n")
    with pytest.raises(RecordingError, match=r"a\.recording is not UTF-8 \(line 3, byte 0xff\)"):
        read(path)


def a_run(folder: Path, *more: events.Any) -> Path:
    path = folder / ".chatdev" / "events.jsonl"
    store = Store(path)
    started = events.RunStarted(1, "0.1.0", "Hello", "Org", "20260101000000", "say hello", "default", "VLLM")
    for event in (started, events.AttemptStarted(1, "http://x/v1", "tiny", 4096, "none"), *more):
        store.append(event)
    store.close()
    return path


def answered(place: str, text: str) -> events.ModelAnswered:
    return model_answered(place, text, finish_reason="length", reasoning="thoughts")


def test_a_finished_run_is_a_recording_by_place(tmp_path: Path) -> None:
    path = a_run(tmp_path, answered("Coding.1/Prögrammer.1/ask.1", "code"), events.AttemptStopped(1, "why"))
    entry = Entry(place="Coding.1/Prögrammer.1/ask.1", text="code", finish="length", reasoning="thoughts")
    expected = Recording(model="tiny", window=4096, task="say hello", name="Hello", entries=(entry,))
    assert load(tmp_path) == load(path) == expected
    assert parse(write(expected)) == expected


def test_a_window_that_was_not_known_is_the_default(tmp_path: Path) -> None:
    again = events.AttemptStarted(2, "http://x/v1", "other", None, "none")
    recording = from_log(a_run(tmp_path, answered("a.1", "x"), again))
    assert (recording.model, recording.window) == ("other", 4096)


def test_a_run_without_answers_or_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has no model answers"):
        load(a_run(tmp_path))
    with pytest.raises(JournalError, match=r"The log .* cannot be read"):
        load(tmp_path / ".chatdev")


def test_the_example_in_the_documentation_is_a_recording() -> None:
    page = (Path(__file__).parents[2] / "docs" / "playback.md").read_text(encoding="utf-8")
    example = re.search(r"^~~~text\n(\+\+\+\n.*?)^~~~$", page, re.DOTALL | re.MULTILINE)
    assert example
    recording = parse(example[1], "docs/playback.md")
    assert [entry.title for entry in recording.entries] == ["Coding.1/Programmer.1/ask.1", 'when "acceptance tests"']
    assert recording.manner == (
        FaultSpec(first_token=0.08, per_token=0.012),
        FaultSpec(fault="cut", after=5, attempt=1),
    )
