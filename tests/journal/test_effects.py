"""effect(): performed once, and returned from the log ever after."""

from pathlib import Path

import pytest

from chatdev.journal import events
from chatdev.journal.effects import Desk, Mismatch, digest
from chatdev.journal.store import Store


class Counted:
    """An act that counts how often it is performed."""

    def __init__(self, desk: Desk, key: str = "k") -> None:
        self.desk, self.key, self.times = desk, key, 0

    async def __call__(self) -> events.TestsRan:
        self.times += 1
        return events.TestsRan(self.desk.place, self.key, (), output=f"run {self.times}")


async def test_an_effect_is_performed_once_over_two_lives(tmp_path: Path) -> None:
    for life in (1, 2):
        log = Store(tmp_path / "log")
        desk = Desk(log).at("Test", 2).at("tests")
        act = Counted(desk)
        ran = [await desk.perform(events.TestsRan, "k", act) for _ in range(2)]
        log.close()
        assert [event.output for event in ran] == ["run 1", "run 1"]
        assert act.times == (1 if life == 1 else 0)


async def test_another_question_at_a_recorded_place_names_the_phase(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    desk = Desk(log).at("Coding").at("Programmer").at("ask")
    await desk.perform(events.TestsRan, "k", Counted(desk))
    with pytest.raises(Mismatch, match="Coding"):
        await desk.perform(events.TestsRan, "other", Counted(desk, "other"))
    log.close()


def test_derived_events_are_compared_and_not_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        log = Store(tmp_path / "log")
        Desk(log).record(events.PhaseEnded("Coding.1", "Coding", "main.py"))
        assert len(log.records) == 1
        log.close()
    log = Store(tmp_path / "log")
    with pytest.raises(Mismatch):
        Desk(log).record(events.PhaseEnded("Coding.1", "Coding", "other.py"))
    log.close()


def test_a_message_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        log = Store(tmp_path / "log")
        desk = Desk(log)
        assert desk.keep_message("user", "hello") == desk.at("X").keep_message("user", "hello")
        assert desk.keep_message("system", "hello") != desk.keep_message("user", "hello")
        assert len(log.records) == 2
        log.close()


def test_places_hold_words_only(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    assert Desk(log).at("Chief Product Officer", 3).at("a/../b").place == "ChiefProductOfficer.3/ab.1"
    log.close()


def test_digests_tell_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ä") == digest("ä".encode())
