import csv
import json
from pathlib import Path

import msgspec
import pytest

from chatdev import runs
from chatdev.errors import UserError
from chatdev.fleet import tasks
from chatdev.fleet.ledger import BatchTask, Ledger, Result, abandoned_mark
from chatdev.fleet.plan import BatchPlan, plan_of
from chatdev.fleet.tasks import TaskRow
from chatdev.journal import events
from chatdev.journal.lock import Busy
from chatdev.journal.store import Store


def rows(*names: str) -> list[tasks.NamedRow]:
    return list(tasks.identities(TaskRow(name, f"make {name}", "Game") for name in names))


def result(task: BatchTask, status: str = "passed", cost: float = 0.0) -> Result:
    return Result(
        name=task.row.name,
        verdict="passed" if status == "passed" else "" if status == "error" else "failed (1 of 2)",
        status=status,  # type: ignore[arg-type]
        seconds=1.5,
        calls=3,
        prompt_tokens=30,
        completion_tokens=12,
        cost=cost,
        folder=f"projects/{task.folder}",
        category=task.row.category,
        id=task.id,
        go=task.go,
    )


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


PLANS = sorted(Path(__file__).parent.joinpath("plans").glob("*.json"))


@pytest.mark.parametrize("saved", PLANS, ids=lambda path: path.stem)
def test_the_saved_plan_of_an_earlier_version_is_read_and_written_by_the_same_names(
    tmp_path: Path, saved: Path
) -> None:
    file = tmp_path / ".batch" / "plan.json"
    file.parent.mkdir()
    file.write_bytes(saved.read_bytes())
    Ledger(tmp_path, plan_of(tmp_path)).close()
    before, after = json.loads(saved.read_bytes()), json.loads(file.read_bytes())
    assert {name: after["reach"].pop(name) for name in before["reach"]} == before.pop("reach")
    assert {name: after[name] for name in before} == before


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "b", BatchPlan())


def test_a_batch_is_found_again_with_its_tasks_and_results(ledger: Ledger) -> None:
    first, second = ledger.add(rows("A", "B"))
    ledger.put(result(first))
    ledger.close()
    again = Ledger(ledger.folder)
    assert list(again.tasks.values()) == [first, second]
    assert list(again.results) == [first.id]
    assert again.unfinished([first, second]) == (second,)
    assert again.add(rows("New", "A", "B"))[1:] == (first, second)
    again.close()
    assert again.batch_folder.company.joinpath("company.toml").is_file()


def test_no_cell_is_a_formula_or_drives_a_terminal(ledger: Ledger) -> None:
    texts = ["=HYPERLINK(1)", "+1", "-1+2", "@SUM(1)", " =1", "two\nlines", "\x1b[2Jclear", "plain = 1"]
    for task, text in zip(ledger.add(rows(*map(str, range(len(texts))))), texts, strict=True):
        ledger.put(msgspec.structs.replace(result(task), error=text))
    shown = ["'=HYPERLINK(1)", "'+1", "'-1+2", "'@SUM(1)", "'=1", "two lines", "clear", "plain = 1"]
    assert [row["error"] for row in table(ledger.folder)] == shown
    ledger.close()
    again = Ledger(ledger.folder)
    assert sorted(each.error for each in again.results.values()) == sorted(texts), "the log keeps them as they are"
    again.close()


def test_results_grow_line_by_line_in_both_files(ledger: Ledger) -> None:
    one, other = ledger.add(rows('A, "quoted"', "B"))
    assert table(ledger.folder) == []
    ledger.put(result(one))
    assert [(row["name"], row["tokens"], row["category"]) for row in table(ledger.folder)] == [
        ('A, "quoted"', "42", "Game")
    ]
    ledger.put(result(one))
    ledger.put(result(other, "error"))
    assert [row["status"] for row in table(ledger.folder)] == ["passed", "error"]
    assert len((ledger.folder / "results.jsonl").read_bytes().splitlines()) == 2
    ledger.close()


def test_what_a_kill_tore_is_cut_and_the_table_made_whole(ledger: Ledger) -> None:
    one, other = ledger.add(rows("A", "B"))
    ledger.put(result(one))
    ledger.close()
    hidden = ledger.folder / ".batch" / "tasks.jsonl"
    whole = hidden.read_bytes()
    for path, torn in ((hidden, b'{"id":"x'), (ledger.folder / "results.jsonl", b'{"name":')):
        with path.open("ab") as file:
            file.write(torn)
    (ledger.folder / "results.csv").write_bytes(b"name,verd")
    again = Ledger(ledger.folder)
    assert again.notes == [
        "Dropped record 3 at the end of tasks.jsonl: it was incomplete and not acknowledged.",
        "Dropped record 2 at the end of results.jsonl: it was incomplete and not acknowledged.",
    ]
    assert hidden.read_bytes() == whole and hidden.with_name("tasks.jsonl.cut").read_bytes() == b'{"id":"x\n'
    assert [row["name"] for row in table(ledger.folder)] == ["A"]
    again.put(result(other))
    again.close()
    assert [row["name"] for row in table(ledger.folder)] == ["A", "B"]


def test_a_damaged_line_is_reported(ledger: Ledger) -> None:
    ledger.add(rows("A"))
    ledger.close()
    (ledger.folder / ".batch" / "tasks.jsonl").write_bytes(b"{}\n")
    with pytest.raises(UserError, match=r"tasks\.jsonl is damaged: line 1: Object missing required field"):
        Ledger(ledger.folder)


@pytest.mark.parametrize(("end", "notes"), [(b"", 0), (b"\n", 1), (b"\0" * 512, 1), (b"\r\n\0\n", 1)])
def test_empty_lines_and_zeros_at_the_end_are_no_damage(ledger: Ledger, end: bytes, notes: int) -> None:
    made = ledger.add(rows("A", "B"))
    ledger.close()
    path = ledger.folder / ".batch" / "tasks.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\n", b"\n\n", 1) + end)
    again = Ledger(ledger.folder)
    assert tuple(again.tasks.values()) == made and len(again.notes) == notes
    again.close()


def test_a_project_with_a_damaged_log_is_not_reassigned_and_does_not_stop_the_batch(ledger: Ledger) -> None:
    (task,) = ledger.add(rows("A"))
    ledger.share()
    log = runs.log_of(ledger.batch_folder.projects / task.folder)
    store = Store(log)
    store.append(events.Diagnostic("A.1", "guessed", "one"))
    store.close()
    log.write_bytes(log.read_bytes().replace(b"one", b"two"))
    assert ledger.reassign(task) == task and not abandoned_mark(ledger.folder, task.folder).exists()
    ledger.close()


@pytest.mark.parametrize("joined", [b"", b"\0", b'{"id":"x'])
def test_two_tasks_on_one_line_are_damage(ledger: Ledger, joined: bytes) -> None:
    ledger.add(rows("A", "B"))
    ledger.close()
    path = ledger.folder / ".batch" / "tasks.jsonl"
    before = path.read_bytes().replace(b"\n", joined, 1)
    path.write_bytes(before)
    with pytest.raises(UserError, match=r"tasks\.jsonl is damaged: line 1"):
        Ledger(ledger.folder)
    assert path.read_bytes() == before


def test_what_failed_is_taken_up_in_a_new_folder_and_an_error_where_it_stands(ledger: Ledger) -> None:
    passed, failed, broken, waiting = before = ledger.add(rows("A", "B", "C", "D"))
    for task, status in ((passed, "passed"), (failed, "failed"), (broken, "error")):
        ledger.put(result(task, status, cost=0.25))
    again = ledger.retry(task.id for task in before)
    assert [task.row.name for task in again] == ["B", "C"]
    assert (again[0].go, again[0].paid, again[0].name) == (2, 0.25, "B")
    assert again[0].folder != failed.folder
    assert again[1].folder == broken.folder
    assert ledger.unfinished(before) == (*again, waiting)
    assert [row["name"] for row in table(ledger.folder)] == ["A"]
    assert ledger.paid == 0.5  # of the error, its own log tells
    ledger.put(result(failed))  # somebody who was late
    assert failed.id not in ledger.results
    ledger.put(result(again[0]))
    ledger.close()
    later = Ledger(ledger.folder)
    assert [row["name"] for row in table(ledger.folder)] == ["A", "B"]
    assert later.unfinished(before) == (again[1], waiting)
    later.close()


def test_a_retry_that_was_killed_before_the_results_were_rewritten_holds(ledger: Ledger) -> None:
    (task,) = ledger.add(rows("A"))
    ledger.put(result(task, "failed"))
    kept = (ledger.folder / "results.jsonl").read_bytes()
    (again,) = ledger.retry([task.id])
    ledger.close()
    (ledger.folder / "results.jsonl").write_bytes(kept)
    later = Ledger(ledger.folder)
    assert later.unfinished([task]) == (again,)
    assert table(ledger.folder) == []
    later.close()


def test_two_projects_of_one_name_have_folders_of_their_own(ledger: Ledger) -> None:
    made = ledger.add(rows("A", "a", "A"))
    assert [task.name for task in made] == ["A", "a-2", "A-3"]
    assert len({task.folder for task in made}) == 3
    assert all(task.folder.endswith(task.started_at.strftime("_DefaultOrganization_%Y%m%d%H%M%S")) for task in made)
    ledger.close()


def test_only_one_process_works_on_a_batch(ledger: Ledger) -> None:
    with pytest.raises(Busy, match=f"The run in {ledger.folder} is in use by"):
        Ledger(ledger.folder, BatchPlan())
    ledger.close()
    Ledger(ledger.folder).close()


def test_a_batch_keeps_its_company_and_its_organization(ledger: Ledger) -> None:
    ledger.close()
    for plan in (BatchPlan(config="classic"), BatchPlan(org="Mine")):
        with pytest.raises(UserError, match="was started with --config default and --org DefaultOrganization"):
            Ledger(ledger.folder, plan)
    Ledger(ledger.folder, BatchPlan(model="STUB")).close()
    known = plan_of(ledger.folder)
    assert known is not None and known.model == "STUB"


def test_what_cannot_be_a_batch_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no batch"):
        Ledger(tmp_path / "nothing")
    with pytest.raises(UserError, match="--org 'a/b' is not a valid folder name"):
        Ledger(tmp_path / "b", BatchPlan(org="a/b"))
    with pytest.raises(UserError, match="nowhere"):
        Ledger(tmp_path / "c", BatchPlan(config="nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot create a batch in"):
        Ledger(tmp_path / "file" / "b", BatchPlan())
    (tmp_path / "b" / ".batch" / "plan.json").write_text("{")
    with pytest.raises(UserError, match="Cannot read the plan"):
        Ledger(tmp_path / "b")


def test_a_disk_that_is_full_is_reported_with_what_to_do(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    (task,) = ledger.add(rows("A"))
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(ledger, "results_file", full)
        with pytest.raises(UserError, match="No space left on device"):
            ledger.put(result(task))
    assert not ledger.results
    ledger.close()
