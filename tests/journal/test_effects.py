"""effect(): performed once, and returned from the log ever after."""

import contextlib
from pathlib import Path

import pytest

from chatdev.journal import events
from chatdev.journal.effects import JournalScope, Mismatch, digest
from chatdev.journal.store import Store


class Counted:
    """An act that counts how often it is performed."""

    def __init__(self, scope: JournalScope, key: str = "k") -> None:
        self.scope, self.key, self.times = scope, key, 0

    async def __call__(self) -> events.TestsRan:
        self.times += 1
        return events.TestsRan(self.scope.place, self.key, (), output=f"run {self.times}")


async def test_an_effect_is_performed_once_over_two_lives(tmp_path: Path) -> None:
    for life in (1, 2):
        log = Store(tmp_path / "log")
        scope = JournalScope(log).at("Test", 2).at("tests")
        act = Counted(scope)
        ran = [await scope.perform(events.TestsRan, "k", act) for _ in range(2)]
        log.close()
        assert [event.output for event in ran] == ["run 1", "run 1"]
        assert act.times == (1 if life == 1 else 0)


async def test_another_question_at_a_recorded_place_names_the_phase(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    scope = JournalScope(log).at("Coding").at("Programmer").at("ask")
    await scope.perform(events.TestsRan, "k", Counted(scope))
    with pytest.raises(Mismatch, match="Coding"):
        await scope.perform(events.TestsRan, "other", Counted(scope, "other"))
    log.close()


def test_derived_events_are_compared_and_not_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        log = Store(tmp_path / "log")
        JournalScope(log).record(events.PhaseEnded("Coding.1", "Coding", "main.py"))
        assert len(log.records) == 1
        log.close()
    log = Store(tmp_path / "log")
    with pytest.raises(Mismatch):
        JournalScope(log).record(events.PhaseEnded("Coding.1", "Coding", "main.py", reflected=True))
    log.close()


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        (
            events.Diagnostic("P.1", "guessed", "nobody said it"),
            events.Diagnostic("P.1", "guessed", "no answer said it"),
        ),
        (
            events.VerdictReached("V.1", "not run (nobody here can run X)", "so it is"),
            events.VerdictReached("V.1", "not run (ChatDev cannot run X)", "it is so"),
        ),
    ],
)
def test_a_text_that_an_earlier_version_worded_differently_is_no_mismatch(
    tmp_path: Path, earlier: events.Derived, now: events.Derived
) -> None:
    with contextlib.closing(Store(tmp_path / "log")) as log:
        JournalScope(log).record(earlier)
    with contextlib.closing(Store(tmp_path / "log")) as log:
        JournalScope(log).record(now)
        assert [record.event for record in log.records] == [earlier]
        failed = events.VerdictReached("V.1", "failed (1 of 2)") if isinstance(now, events.VerdictReached) else None
        if failed:
            with pytest.raises(Mismatch):
                JournalScope(log).record(failed)


def test_a_message_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        log = Store(tmp_path / "log")
        scope = JournalScope(log)
        assert scope.keep_message("user", "hello") == scope.at("X").keep_message("user", "hello")
        assert scope.keep_message("system", "hello") != scope.keep_message("user", "hello")
        assert len(log.records) == 2
        log.close()


def test_places_hold_words_only(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    assert JournalScope(log).at("Chief Product Officer", 3).at("a/../b").place == "ChiefProductOfficer.3/ab.1"
    log.close()


def test_digests_tell_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ä") == digest("ä".encode())
