"""An evaluation's folder: what it knows of before, and what is said of files that are damaged."""

import contextlib
from pathlib import Path

import pytest

from chatdev.errors import UserError
from chatdev.evaluation.judging import HiddenResult
from chatdev.evaluation.place import EvalFolder
from chatdev.journal.lock import Busy

JUDGED = HiddenResult("once", "a", 1, "product", "judge", held=1, of=2, missed=(2,))


def test_judgements_are_kept_and_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    with contextlib.closing(EvalFolder(tmp_path / "out")) as place:
        assert place.judgement(JUDGED.key) is None
        place.put(JUDGED)
    with (tmp_path / "out" / "judged.jsonl").open("a") as file:
        file.write('{"arm": "on')
    with contextlib.closing(EvalFolder(tmp_path / "out")) as place:
        assert place.notes == ["Dropped record 2 at the end of judged.jsonl: it was incomplete and not acknowledged."]
        assert place.judgement(JUDGED.key) == JUDGED
        assert place.judgement(("once", "a", 1, "another product", "judge")) is None
    assert len((tmp_path / "out" / "judged.jsonl").read_text().splitlines()) == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with contextlib.closing(EvalFolder(tmp_path)), pytest.raises(Busy):
        EvalFolder(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "judged.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"judged\.jsonl is damaged"):
        EvalFolder(tmp_path)
    (tmp_path / "judged.jsonl").unlink()
    (tmp_path / "eval.json").write_text("{")
    with (
        contextlib.closing(EvalFolder(tmp_path)) as place,
        pytest.raises(UserError, match=r"eval\.json cannot be read"),
    ):
        place.begin("model")


def test_the_model_is_noted_once(tmp_path: Path) -> None:
    with contextlib.closing(EvalFolder(tmp_path)) as place:
        assert not (tmp_path / "eval.json").exists()
        place.begin("small")
        place.begin("small")
        assert place.start and place.start.model == "small"
        with pytest.raises(UserError, match="measures small, but large answers now"):
            place.begin("large")
