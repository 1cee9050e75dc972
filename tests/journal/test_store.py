"""The log as a file: what was synced is there, and what was damaged is named."""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatdev.journal import events, store
from chatdev.journal.store import Busy, Damaged, JournalError, Record, Store


def noted(text: str, place: str = "A.1") -> events.Noted:
    return events.Noted(place, "guessed", text)


def written(path: Path, *texts: str) -> bytes:
    log = Store(path)
    for text in texts:
        log.append(noted(text))
    log.close()
    return path.read_bytes()


def texts(records: tuple[Record, ...] | list[Record]) -> list[str]:
    return [record.event.text for record in records if isinstance(record.event, events.Noted)]


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    written(tmp_path / "log", "one", "zwei\n", "三 😀")
    records = store.read(tmp_path / "log")
    assert [record.n for record in records] == [1, 2, 3]
    assert texts(records) == ["one", "zwei\n", "三 😀"]


def test_numbers_go_on_after_reopening(tmp_path: Path) -> None:
    written(tmp_path / "log", "one")
    written(tmp_path / "log", "two")
    assert [record.n for record in store.read(tmp_path / "log")] == [1, 2]


def test_every_cut_point_keeps_the_whole_records_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = written(path, "one", "two")
    first = data.index(b"\n") + 1
    for end in range(len(data)):
        path.write_bytes(data[:end])
        log = Store(path)
        assert texts(log.records) == (["one"] if end >= first else [])
        log.append(noted("after"))
        log.close()
        assert texts(store.read(path))[-1] == "after"


@settings(max_examples=150, deadline=None)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_never_believed(tmp_path_factory: pytest.TempPathFactory, position: int, bit: int) -> None:
    path = tmp_path_factory.mktemp("flip") / "log"
    data = bytearray(written(path, "one", "two", "three"))
    position %= len(data)
    data[position] ^= 1 << bit
    path.write_bytes(data)
    try:
        found = texts(store.read(path))
    except JournalError:
        return
    assert found in (["one"], ["one", "two"], ["one", "two", "three"][: len(found)])
    assert len(found) < 3 or bytes(data).count(b"\n") != 3 or position == len(data) - 1


def test_damage_in_the_middle_names_file_and_record(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = written(path, "one", "two", "three")
    path.write_bytes(data.replace(b"two", b"tow"))
    with pytest.raises(Damaged, match="record 2") as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert b"tow" in path.read_bytes()


def test_a_lost_line_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = written(path, "one", "two", "three").splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2] + lines[2])
    with pytest.raises(Damaged):
        store.read(path)


def test_a_whole_record_of_an_unknown_kind_is_an_error_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    event = b'{"type":"from.the.future"}'
    crc = store._checksum(1, b"1.0", event)
    path.write_bytes(b'{"n":1,"at":1.0,"crc":"%s","event":%s}\n' % (crc.encode(), event))
    with pytest.raises(JournalError, match="version"):
        store.read(path)


def test_two_processes_cannot_hold_one_run(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".chatdev" / "events.jsonl"
    log = Store(path)
    with pytest.raises(Busy, match=f"process {os.getpid()}"):
        Store(path)
    log.close()
    Store(path).close()


def test_no_log_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No log"):
        store.read(tmp_path / "absent")


async def test_listeners_see_each_record(tmp_path: Path) -> None:
    log, seen = Store(tmp_path / "log"), list[Record]()
    log.listen(seen.append)
    log.append(noted("one"))
    await log.sync()
    log.close()
    assert texts(seen) == ["one"]


def test_after_a_full_disk_nothing_more_is_accepted(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    log.append(noted("one"))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file)
    os.close(full)
    with pytest.raises(JournalError, match="No space"):
        log.append(noted("two"))
    with pytest.raises(JournalError, match="earlier"):
        log.append(noted("three"))
    with pytest.raises(JournalError, match="earlier"):
        asyncio.run(log.sync())
    log.close()
    assert texts(store.read(tmp_path / "log")) == ["one"]


async def test_a_failed_sync_closes_the_log(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    reading, writing = os.pipe()
    os.dup2(writing, log._file)  # a pipe can be written and not synced
    with pytest.raises(JournalError, match="cannot be written"):
        await log.sync()
    with pytest.raises(JournalError, match="earlier"):
        log.append(noted("two"))
    log.close()
    os.close(reading)
    os.close(writing)
