"""The log as a file: what was synced is there, and what was damaged is named."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from chatdev.journal import events, reading, store
from chatdev.journal.active import Active
from chatdev.journal.store import Busy, Damaged, JournalError, NewerVersion, Record, Store


def noted(text: str, place: str = "A.1") -> events.Diagnostic:
    return events.Diagnostic(place, "guessed", text)


def written(path: Path, *texts: str) -> bytes:
    log = Store(path)
    for text in texts:
        log.append(noted(text))
    log.close()
    return path.read_bytes()


def texts(records: tuple[Record, ...] | list[Record]) -> list[str]:
    return [record.event.text for record in records if isinstance(record.event, events.Diagnostic)]


def descriptor_of(path: Path) -> int:
    """The descriptor under which this process holds a file open."""
    (number,) = (int(each.name) for each in Path("/proc/self/fd").iterdir() if each.exists() and each.samefile(path))
    return number


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


def test_every_flipped_bit_is_refused_by_the_records_number_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    good = written(path, "one", "two", "three")
    ends = [end + 1 for end, byte in enumerate(good) if byte == ord("\n")]
    for position, bit in product(range(len(good) - 1), range(8)):
        data = bytearray(good)
        data[position] ^= 1 << bit
        path.write_bytes(data)
        number = sum(end <= position for end in ends) + 1
        with pytest.raises(Damaged, match=f"record {number} is damaged") as caught:
            store.read(path)
        assert str(path) in str(caught.value)
        assert ("--repair" in caught.value.do) == (number > 1)
        if bit == position % 8 and not position % 3:  # opening takes a lock, so a few must do there
            with pytest.raises(Damaged, match=f"record {number} is damaged"):
                Store(path)
            assert path.read_bytes() == data


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_last_line_feed_leaves_an_incomplete_record(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "log"
    data = bytearray(written(path, "one", "two"))
    data[-1] ^= 1 << bit
    path.write_bytes(data)
    assert texts(store.read(path)) == ["one"]


def test_a_damaged_last_record_is_kept_by_a_repair_on_demand_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".chatdev" / "events.jsonl"
    data = written(path, "one", "two").replace(b"two", b"tow")
    path.write_bytes(data)
    with pytest.raises(Damaged, match=r"record 2 is damaged, although it was written completely\.") as caught:
        Store(path)
    assert "Intact records before it: 1." in caught.value.do and "--repair" in caught.value.do
    assert path.read_bytes() == data
    assert "Record 2 of the log was damaged" in store.repair(path)
    assert texts(store.read(path)) == ["one"]
    assert b"tow" in path.with_name("events.jsonl.cut").read_bytes()


def test_a_lost_line_before_the_last_one_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = written(path, "one", "two", "three").splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(Damaged, match="record 2 is damaged, although"):
        store.read(path)


@pytest.mark.parametrize("joined", [b"", b" ", b"\0\0", b'{"n":2,"at":1.0,'])
def test_two_records_on_one_line_are_damage(tmp_path: Path, joined: bytes) -> None:
    path = tmp_path / "log"
    lines = written(path, "one", "two", "three").splitlines()
    path.write_bytes(lines[0] + b"\n" + lines[1] + joined + lines[2] + b"\n")
    with pytest.raises(Damaged, match="record 2"):
        store.read(path)


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (b"\n", "Dropped 1 bytes without a record"),
        (b"\r\n \n\n", "Dropped 5 bytes without a record"),
        (b"\0" * 4096, "Dropped 4096 bytes without a record"),
        (b"\0" * 9 + b"\n\0", "Dropped 11 bytes without a record"),
        (b'{"n":3,"at"', "Dropped record 3 at the end of the log: it was incomplete"),
        (b'{"n":3,"at"' + b"\0" * 100, "Dropped record 3 at the end of the log: it was incomplete"),
        (b"\n" + b'{"n":3', "Dropped record 3 at the end of the log: it was incomplete"),
    ],
)
def test_an_end_that_was_never_a_whole_record_is_dropped_with_a_note(tmp_path: Path, end: bytes, note: str) -> None:
    path = tmp_path / "log"
    data = written(path, "one", "two")
    path.write_bytes(data + end)
    assert texts(store.read(path)) == ["one", "two"] and store.whole(path) == data
    log = Store(path)
    assert log.repaired.startswith(note)
    assert path.read_bytes() == data and path.with_name("log.cut").read_bytes() == end + b"\n"
    log.append(noted("three"))
    log.close()
    assert texts(store.read(path)) == ["one", "two", "three"]
    assert store.repair(path) == ""


def test_a_whole_record_without_its_line_feed_was_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(written(path, "one", "two").removesuffix(b"\n"))
    log = Store(path)
    log.close()
    assert texts(log.records) == ["one"] and "Dropped record 2" in log.repaired


@pytest.mark.parametrize("end", [b"x\n", b"\0\0x\n", b"{}\n", b"\n\n[]\n\n", b'"\xff"\n'])
def test_a_whole_line_that_is_no_record_is_damage(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(written(path, "one") + end)
    with pytest.raises(Damaged, match="record 2 is damaged, although"):
        store.read(path)


def test_empty_lines_between_records_are_no_damage_since_the_numbers_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    first, second = written(path, "one", "two").splitlines(keepends=True)
    path.write_bytes(b"\n" + first + b"\r\n\n" + second)
    assert texts(store.read(path)) == ["one", "two"]
    written(path, "three")
    assert texts(store.read(path)) == ["one", "two", "three"]


def test_a_repair_goes_on_after_the_last_whole_record_and_keeps_what_it_cuts(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".chatdev" / "events.jsonl"
    data = written(path, "one", "two", "three")
    path.write_bytes(data.replace(b"two", b"tow"))
    with pytest.raises(Damaged, match="record 2") as caught:
        store.read(path)
    assert f'chatdev resume "{tmp_path / "run"}" --repair' in caught.value.do
    assert "Record 2" in store.repair(path)
    assert texts(store.read(path)) == ["one"]
    kept = path.with_name("events.jsonl.cut").read_bytes()
    assert b"tow" in kept and b"three" in kept
    assert store.repair(path) == ""


def test_without_any_whole_record_there_is_nothing_to_repair(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = written(path, "one", "two")
    path.write_bytes(data.replace(b"one", b"eno"))
    with pytest.raises(Damaged, match="record 1") as caught:
        store.repair(path)
    assert "--repair" not in str(caught.value)
    assert b"eno" in path.read_bytes()


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


def whole(n: int, event: bytes) -> bytes:
    return b'{"n":%d,"at":1.0,"crc":"%s","event":%s}\n' % (n, reading.checksum(n, b"1.0", event).encode(), event)


def test_a_whole_record_of_an_unknown_kind_is_an_error_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(whole(1, b'{"type":"from.the.future"}'))
    with pytest.raises(NewerVersion, match="record 1 is intact") as caught:
        store.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["run.started", "attempt.started"])
def test_a_log_in_a_newer_form_is_refused_in_plain_words_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    data = written(path, "one") + whole(2, b'{"type":"%s","schema":99,"version":"7.1","x":1}' % kind.encode())
    path.write_bytes(data)
    for opened in (store.read, Store, store.repair):
        with pytest.raises(NewerVersion, match=r"written by ChatDev 7\.1 in log format 99; .* formats up to"):
            opened(path)
    assert path.read_bytes() == data


def test_two_processes_cannot_hold_one_run(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".chatdev" / "events.jsonl"
    log = Store(path)
    with pytest.raises(Busy, match=f"process {os.getpid()}"):
        Store(path)
    log.close()
    Store(path).close()


def test_no_log_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
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
    os.dup2(full, descriptor_of(log.path))
    os.close(full)
    with pytest.raises(JournalError, match="No space"):
        log.append(noted("two"))
    with pytest.raises(JournalError, match="No space"):
        log.append(noted("three"))
    with pytest.raises(JournalError, match="No space"):
        asyncio.run(log.sync())
    log.close()
    assert texts(store.read(tmp_path / "log")) == ["one"]


async def test_a_failed_sync_closes_the_log(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    reading, writing = os.pipe()
    os.dup2(writing, descriptor_of(log.path))  # a pipe can be written and not synced
    log.append(noted("one"))
    with pytest.raises(JournalError, match="cannot be written"):
        await log.sync()
    with pytest.raises(JournalError, match="cannot be written"):
        log.append(noted("two"))
    log.close()
    os.close(reading)
    os.close(writing)


async def test_a_sync_that_failed_is_heard_of_by_those_who_sync_beside_it(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    reading, writing = os.pipe()
    os.dup2(writing, descriptor_of(log.path))
    log.append(noted("one"))
    log.append(noted("two"))
    errors = await asyncio.gather(log.sync(), log.sync(), return_exceptions=True)
    assert [type(error) for error in errors] == [JournalError, JournalError]
    log.close()
    os.close(reading)
    os.close(writing)


async def test_what_a_failed_sync_left_in_doubt_is_not_believed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    log = Store(tmp_path / "log")
    log.append(noted("one"))
    await log.sync()
    log.append(noted("two"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        with pytest.raises(JournalError, match="Input/output error"):
            await log.sync()
    log.close()
    assert texts(store.read(tmp_path / "log")) == ["one"]


async def test_no_record_is_appended_behind_those_that_a_failed_sync_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[JournalError] = []

    def append() -> None:
        try:
            log.append(noted("three"))
        except JournalError as error:
            errors.append(error)

    appending = threading.Thread(target=append)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def cut_and_append(file: int, size: int, truncate: Callable[[int, int], None] = os.ftruncate) -> None:
        truncate(file, size)
        appending.start()
        appending.join(0.2)

    log = Store(tmp_path / "log")
    log.append(noted("one"))
    await log.sync()
    log.append(noted("two"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing)
        patch.setattr(os, "ftruncate", cut_and_append)
        with pytest.raises(JournalError, match="Input/output error"):
            await log.sync()
    appending.join()
    log.close()
    assert (texts(store.read(tmp_path / "log")), len(errors)) == (["one"], 1)


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_a_log_that_is_gone_takes_nothing_more(tmp_path: Path, how: str) -> None:
    path = tmp_path / "run" / "log"
    log = Store(path)
    log.append(noted("one"))
    await log.sync()
    if how == "deleted":
        path.unlink()
    elif how == "moved":
        path.parent.rename(tmp_path / "elsewhere")
    else:
        path.rename(tmp_path / "old")
        path.write_bytes(b"")
    log.append(noted("two"))
    with pytest.raises(JournalError, match="moved or deleted"):
        await log.sync()
    with pytest.raises(JournalError, match="moved or deleted"):
        log.append(noted("three"))
    log.close()


def test_a_sleep_of_the_machine_is_recorded_and_is_no_work(tmp_path: Path) -> None:
    now = {"wall": 1_000.0, "alive": 0.0}
    log = Store(tmp_path / "log", wall=lambda: now["wall"], alive=lambda: now["alive"])
    for wall, alive in ((1_010.0, 10.0), (30_000.0, 20.0), (30_001.0, 21.0), (20_002.0, 22.0)):
        now.update(wall=wall, alive=alive)
        log.append(noted(str(wall)))
    log.close()
    jumps = [record.event.seconds for record in log.records if isinstance(record.event, events.ClockJumped)]
    assert jumps == [28_980.0, -10_000.0]
    active = Active()
    assert [round(active.add(record), 3) for record in log.records] == [0.0, 10.0, 10.0, 11.0, 12.0, 12.0]


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be created"):
        Store(tmp_path / "file" / ".chatdev" / "log")


def test_a_log_that_cannot_be_opened_is_a_plain_error_and_holds_no_lock(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be written"):
            Store(tmp_path / "log")
