"""Following a log while something else writes it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from chatdev.journal import events, reading
from chatdev.journal.reading import follow
from chatdev.journal.store import Damaged, JournalError, Store

ROOT = Path(__file__).parent.parent.parent
WRITER = """
import os, sys
from pathlib import Path
from chatdev.journal import events
from chatdev.journal.store import Store
log = Store(Path(sys.argv[1]))
for line in sys.stdin:
    if line == "die in the middle of a line\\n":
        os.write(log._file, b'{"n":%d,"at":1.0,"crc":"' % (len(log.records) + 1))
        os._exit(9)
    log.append(events.Diagnostic("A.1", "guessed", line.strip()))
log.close()
"""


def writer(path: Path, text: str) -> int:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", WRITER, str(path)], input=text, text=True, env=env).returncode


def write(path: Path, *texts: str) -> None:
    log = Store(path)
    for text in texts:
        log.append(events.Diagnostic("A.1", "guessed", text))
    log.close()


class Pauses:
    """Pauses that take no time: each does the next of some ``steps``, and after the last one ``stop`` is true."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.waits: list[float] = []
        self._steps = list(steps)

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._steps.pop(0)()

    def stop(self) -> bool:
        return not self._steps


def followed(path: Path, *steps: Callable[[], object], after: int = 0) -> list[tuple[int, str]]:
    pauses = Pauses(*steps)
    records = follow(path, after, stop=pauses.stop, pause=pauses)
    return [(record.n, record.event.text) for record in records if isinstance(record.event, events.Diagnostic)]


def nothing() -> None:
    pass


def test_records_of_another_process_arrive_over_its_death_and_its_resume(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    statuses: list[int] = []
    read = followed(
        path,
        nothing,  # the log does not exist yet
        lambda: statuses.append(writer(path, "one\ntwo\ndie in the middle of a line\n")),
        nothing,  # the line stays incomplete
        lambda: statuses.append(writer(path, "three\nfour\n")),
    )
    assert statuses == [9, 0]
    assert read == [(1, "one"), (2, "two"), (3, "three"), (4, "four")]


def test_a_log_is_followed_while_another_process_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin
        process.stdin.write("".join(f"line {number}\n" for number in range(500)))
        process.stdin.flush()
        numbers = [record.n for record in islice(follow(path), 100)]
        process.stdin.close()
        numbers += [record.n for record in islice(follow(path, numbers[-1]), 400)]
    assert numbers == list(range(1, 501))


def test_following_begins_after_any_number(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write(path, "one", "two", "three")
    assert followed(path, lambda: write(path, "four"), after=2) == [(3, "three"), (4, "four")]
    assert followed(path, lambda: write(path, "five"), after=9) == []


def test_a_stop_ends_it_after_all_that_was_written(tmp_path: Path) -> None:
    write(tmp_path / "log", "one", "two")
    assert followed(tmp_path / "log") == [(1, "one"), (2, "two")]
    assert followed(tmp_path / "absent") == []


def test_pauses_grow_to_a_limit_and_are_short_again_after_a_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    pauses = Pauses(*[nothing] * 8, lambda: write(path, "one"), *[nothing] * 2)
    assert len(list(follow(path, stop=pauses.stop, pause=pauses))) == 1
    least, most = reading.PAUSES
    assert pauses.waits == [*sorted(pauses.waits[:9]), least, 2 * least]
    assert pauses.waits[8] == most and min(pauses.waits) >= least


def test_a_line_is_read_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "one", "two")
    data = path.read_bytes()

    def grow() -> Iterator[Callable[[], object]]:
        for size in range(len(data)):
            yield lambda size=size: path.write_bytes(data[:size])  # type: ignore[misc]

    assert followed(path, *grow(), lambda: path.write_bytes(data))[-2:] == [(1, "one"), (2, "two")]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_reading_continues_where_the_writer_cut_its_log(tmp_path: Path, left: int) -> None:
    path = tmp_path / "log"
    write(path, "one", "two", "three")
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:left])

    def cut_and_write_more() -> None:
        path.write_bytes(kept)
        write(path, *(["NEW"] * (4 - left)))  # longer than before: the size does not show the cut

    read = followed(path, cut_and_write_more)
    assert read == [(1, "one"), (2, "two"), (3, "three"), *((number, "NEW") for number in range(left + 1, 5))]


def test_a_log_that_is_deleted_and_made_again_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "one")
    assert followed(path, path.unlink, nothing, lambda: write(path, "again")) == [(1, "one"), (1, "again")]


def test_a_damaged_record_is_an_error_by_name_after_the_records_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "one", "two", "three")
    path.write_bytes(path.read_bytes().replace(b"two", b"tow"))
    pauses = Pauses(*[nothing] * 9)
    records = follow(path, stop=pauses.stop, pause=pauses)
    assert next(records).n == 1
    with pytest.raises(Damaged, match="record 2"):
        next(records)


def test_a_line_seen_in_the_middle_of_a_change_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "one", "two")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"two", b"tow"))
    assert followed(path, lambda: path.write_bytes(data)) == [(1, "one"), (2, "two")]


@pytest.mark.parametrize("end", [b"\n\n", b"\0" * 64, b"\0\n", b'{"n":3'])
def test_an_end_without_a_record_is_passed_over_also_when_it_is_cut(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "log"
    write(path, "one", "two")
    path.write_bytes(path.read_bytes() + end)
    assert followed(path, nothing, nothing, lambda: write(path, "three")) == [(1, "one"), (2, "two"), (3, "three")]


def test_empty_lines_between_records_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, "one", "two")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n"))
    assert followed(path, path.unlink, lambda: write(path, "new")) == [(1, "one"), (2, "two"), (1, "new")]


def test_a_log_that_cannot_be_read_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        next(follow(tmp_path / "log"))
