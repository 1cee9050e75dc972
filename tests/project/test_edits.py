"""What a person changed in an unfinished run's product is kept when the run writes its own files again."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, Ran, recording, run

from chatdev import wiring
from chatdev.errors import ChatDevError
from chatdev.journal import events
from chatdev.journal.effects import digest
from chatdev.playback.faults import FaultSpec
from chatdev.product.edits import KeepingWorkspace
from chatdev.views import show

REVIEW = FaultSpec(place="CodeReview.1", status=401)


async def stopped(warehouse: Path, fault: FaultSpec = REVIEW) -> Path:
    """A run that ended before the review of its code; returns its folder."""
    with pytest.raises(ChatDevError):
        await run(warehouse, recording(ANSWERS), fault)
    (folder,) = warehouse.iterdir()
    return folder


async def resumed(folder: Path, *faults: FaultSpec) -> Ran:
    return await run(folder.parent, recording(ANSWERS), *faults, folder=folder)


def edits(ran: Ran) -> list[str]:
    return [note.text for note in ran.events(events.Diagnostic) if note.place.startswith("note-edited.")]


async def test_an_edit_is_kept_named_and_replaced_by_the_runs_own_version(tmp_path: Path) -> None:
    folder = await stopped(tmp_path)
    own = (folder / "main.py").read_bytes()
    (folder / "main.py").write_text("print('mine')\n")
    ran = await resumed(folder)
    assert ran.verdict.verdict == "passed"
    assert (folder / "main.py").read_bytes() == own
    assert (folder / ".chatdev" / "edited-2" / "main.py").read_text() == "print('mine')\n"
    note = "Files were edited since the last attempt: the edits are kept in .chatdev/edited-2 (main.py)."
    begun = next(record for record in ran.records if record.event == ran.events(events.AttemptStarted)[1])
    assert show.course_of(begun)[1] == note
    assert ".chatdev/edited-2 (main.py)" in (folder / "REPORT.md").read_text().replace("\\", "")
    assert not [path for path in wiring.product_of(folder) if "edited" in path]
    assert edits(ran) == []


async def test_edits_of_several_attempts_are_kept_apart(tmp_path: Path) -> None:
    folder = await stopped(tmp_path)
    for attempt in (2, 3):
        (folder / "words.py").write_text(f"# edit {attempt}\n")
        with pytest.raises(ChatDevError):
            await resumed(folder, REVIEW)
    for attempt in (2, 3):
        assert (folder / ".chatdev" / f"edited-{attempt}" / "words.py").read_text() == f"# edit {attempt}\n"
    assert (await resumed(folder)).verdict.verdict == "passed"
    assert not (folder / ".chatdev" / "edited-4").exists()


async def test_without_an_edit_nothing_is_kept_and_nothing_said(tmp_path: Path) -> None:
    folder = await stopped(tmp_path)
    (folder / "words.py").unlink()  # a lost file is written again
    (folder / "notes.txt").write_text("a file that the run never writes\n")
    ran = await resumed(folder)
    assert ran.verdict.verdict == "passed" and (folder / "words.py").exists()
    assert not list((folder / ".chatdev").glob("edited*")) and (folder / "notes.txt").exists()
    assert not [note for each in ran.events(events.AttemptStarted) for note in each.notes if "edited" in note]


async def test_a_kill_right_after_a_file_was_written_is_no_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = KeepingWorkspace.write

    def killed(self: KeepingWorkspace, path: str, data: bytes, mode: int = 0o644) -> None:
        write(self, path, data, mode)
        if path == "main.py":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(KeepingWorkspace, "write", killed)
        await run(tmp_path, recording(ANSWERS))
    (folder,) = tmp_path.iterdir()
    assert (folder / "main.py").exists()
    assert (await resumed(folder)).verdict.verdict == "passed"
    assert not list((folder / ".chatdev").glob("edited*"))


async def test_a_file_that_a_person_added_is_kept_when_a_model_writes_one_of_that_name(tmp_path: Path) -> None:
    folder = await stopped(tmp_path)
    (folder / "manual.md").write_text("my own manual\n")
    ran = await resumed(folder)
    assert "Run main.py" in (folder / "manual.md").read_text()
    assert (folder / ".chatdev" / "edited-2" / "manual.md").read_text() == "my own manual\n"
    assert edits(ran) == ["an edit of manual.md that the run did not make; it is kept in .chatdev/edited-2/manual.md"]
    assert ".chatdev/edited-2/manual.md" in (folder / "REPORT.md").read_text().replace("\\", "")


def written(path: str, text: str) -> events.FileWritten:
    return events.FileWritten("Coding.1/file.1", path, digest(text.encode()), len(text), 1, 1, 0)


def test_each_version_that_a_person_wrote_is_kept_once(tmp_path: Path) -> None:
    calls: list[tuple[str, str]] = []
    workspace = KeepingWorkspace(
        tmp_path,
        [written("a/b.py", "1"), written("a/b.py", "2")],
        "kept",
        lambda path, copy: calls.append((path, copy)),
    )
    (tmp_path / "a").mkdir()
    for text in ("1", "mine", "mine", "2", "other"):
        (tmp_path / "a" / "b.py").write_text(text)
        workspace.write("a/b.py", b"3")
    (tmp_path / "a" / "b.py").write_text("last")
    workspace.remove("a/b.py")
    assert calls == [("a/b.py", "kept/a/b.py"), ("a/b.py", "kept/a/b.py.2"), ("a/b.py", "kept/a/b.py.3")]
    kept = {each.name: each.read_text() for each in (tmp_path / "kept" / "a").iterdir()}
    assert kept == {"b.py": "mine", "b.py.2": "other", "b.py.3": "last"}


def test_many_edits_are_named_in_short(tmp_path: Path) -> None:
    names = [f"f{number}.py" for number in range(7)]
    for name in names:
        (tmp_path / name).write_text("mine")
    sentence = KeepingWorkspace(tmp_path, [written(name, "1") for name in names], "kept").keep_edits()
    assert sentence.endswith("(f0.py, f1.py, f2.py, f3.py, f4.py and 2 more).")
    assert len(list((tmp_path / "kept").iterdir())) == 7


def test_a_log_of_others_leads_nowhere_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret")
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    (run_folder / "link.py").symlink_to(tmp_path / "outside" / "key")
    (run_folder / "linked").symlink_to(tmp_path / "outside")
    (run_folder / "folder.py").mkdir()
    log = [written(path, "1") for path in ("../outside/key", "link.py", "linked/key", "folder.py", "/etc/passwd")]
    assert KeepingWorkspace(run_folder, log, "kept").keep_edits() == ""
    assert not (run_folder / "kept").exists()
