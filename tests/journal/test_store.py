"""The log as a file: what was synced is there, and what was damaged is named."""

import asyncio
import errno
import os
from contextlib import suppress
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


def test_every_flipped_bit_is_recovered_to_the_longest_good_prefix_or_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "log"
    good = written(path, "one", "two", "three")
    ends = [end + 1 for end, byte in enumerate(good) if byte == ord("\n")]
    for position, bit in product(range(len(good)), range(8)):
        data = bytearray(good)
        data[position] ^= 1 << bit
        path.write_bytes(data)
        whole = sum(end <= position for end in ends)
        with suppress(Damaged):
            assert texts(store.read(path)) == ["one", "two", "three"][:whole]
        if bit != position % 8 or position % 3:  # opening syncs, so a few must do there
            continue
        try:
            log = Store(path)
        except Damaged as error:
            assert str(path) in str(error) and f"record {whole + 1} is damaged" in str(error)
            assert path.read_bytes() == data  # the untouched part, and the rest as well
            continue
        log.close()
        assert texts(log.records) == ["one", "two", "three"][:whole]
        assert log.repaired
        assert path.read_bytes() == good[: ends[whole - 1] if whole else 0]
        cut = path.with_name("log.cut")
        assert bytes(data[ends[whole - 1] if whole else 0 :]) + b"\n" == cut.read_bytes()
        cut.unlink()


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
    os.dup2(full, log._file)
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
    os.dup2(writing, log._file)  # a pipe can be written and not synced
    log.append(noted("one"))
    with pytest.raises(JournalError, match="cannot be written"):
        await log.sync()
    with pytest.raises(JournalError, match="cannot be written"):
        log.append(noted("two"))
    log.close()
    os.close(reading)
    os.close(writing)


async def test_a_sync_that_failed_is_heard_of_by_whoever_syncs_beside_it(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    reading, writing = os.pipe()
    os.dup2(writing, log._file)
    log.append(noted("one"))
    log.append(noted("two"))
    told = await asyncio.gather(log.sync(), log.sync(), return_exceptions=True)
    assert [type(error) for error in told] == [JournalError, JournalError]
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
    assert [round(active.take(record), 3) for record in log.records] == [0.0, 10.0, 10.0, 11.0, 12.0, 12.0]


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be created"):
        Store(tmp_path / "file" / ".chatdev" / "log")


def test_a_log_that_cannot_be_opened_is_a_plain_error_and_holds_no_lock(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be written"):
            Store(tmp_path / "log")
