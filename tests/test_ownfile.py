"""Our own files in a folder that a stranger made: no link in it is followed, and the error names the link."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chatdev import ownfile, runs, wiring
from chatdev.cli.run_output import DebugLog, Text
from chatdev.company import config
from chatdev.errors import UserError
from chatdev.evaluation.judging import HiddenResult
from chatdev.evaluation.place import EvalFolder
from chatdev.fleet import summary, tasks
from chatdev.fleet.ledger import Ledger, Result, shared_code
from chatdev.fleet.plan import BatchPlan, plan_of
from chatdev.fleet.tasks import TaskRow
from chatdev.journal import events, lock, store
from chatdev.journal.store import Store
from chatdev.models.profile import Profile, Profiles
from chatdev.ownfile import LinkRefused

STARTED = events.RunStarted(4, "0", "Calc", "Org", "1", "create a calculator", "default", "VLLM")
FINISHED = events.RunFinished("Verdict.1", "passed")


def run_with_log(folder: Path, *more: events.Any) -> Path:
    log = Store(runs.log_of(folder))
    for event in (STARTED, *more):
        log.append(event)
    log.close()
    return runs.log_of(folder)


def batch(folder: Path, *, name: str = "", share: bool = False) -> None:
    with closing(Ledger(folder, BatchPlan())) as ledger:
        (task,) = ledger.add(tasks.identities([TaskRow("A", "make A", "Game")]))
        if share:
            ledger.share()
        if name == "put":
            ledger.put(
                Result(
                    name="A",
                    verdict="passed",
                    status="passed",
                    seconds=1.5,
                    calls=1,
                    prompt_tokens=1,
                    completion_tokens=1,
                    cost=0.5,
                    folder=task.folder,
                    id=task.id,
                )
            )


def summarised(folder: Path) -> None:
    batch(folder, name="put")
    with closing(Ledger(folder)) as ledger:
        summary.write(folder, ledger.results.values(), 1)


def evaluated(folder: Path) -> None:
    with closing(EvalFolder(folder)) as place:
        place.put(HiddenResult("once", "a", 1, "product", "judge", held=1, of=2))
        place.begin("model")
        for name in ("report.json", "report.md", "report.svg"):
            place.write(name, b"x")


def logged(folder: Path) -> None:
    run_with_log(folder)
    debug = DebugLog(folder / ".chatdev" / "debug.log", Text(quiet=True), str)
    debug("> POST")
    debug.close()


def delivered(folder: Path) -> None:
    if not runs.log_of(folder).exists():
        run_with_log(folder, FINISHED)
    wiring.deliver(folder, store.read(runs.log_of(folder)))


def repaired(folder: Path) -> None:
    if not (log := runs.log_of(folder)).exists():
        run_with_log(folder, FINISHED)
    with log.open("ab") as file:
        file.write(b"torn")
    Store(log).close()


def profiled(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    Profiles(folder).put(Profile(base_url="http://h/v1", model="m", version="1"))
    assert Profiles(folder).get("http://h/v1", "m", "1")


def company(folder: Path) -> None:
    config.write({"company.toml": "x", "phases/Coding.md": "y"}, folder / ".chatdev" / "company")


PROFILE = "*-*.json"
FILES: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: run_with_log(folder), ".chatdev/lock"),
    (lambda folder: run_with_log(folder), ".chatdev/events.jsonl"),
    (lambda folder: run_with_log(folder), ".chatdev"),
    (repaired, ".chatdev/events.jsonl.cut"),
    (logged, ".chatdev/debug.log"),
    (delivered, "Calc_Org_1.log"),
    (delivered, "REPORT.md"),
    (delivered, "meta.txt"),
    (company, ".chatdev/company"),
    (company, ".chatdev/company/company.toml"),
    (company, ".chatdev/company/phases"),
    (batch, ".batch"),
    (batch, ".batch/lock"),
    (batch, ".batch/plan.json"),
    (batch, ".batch/tasks.jsonl"),
    (batch, "projects"),
    (lambda folder: batch(folder, name="put"), "results.jsonl"),
    (lambda folder: batch(folder, name="put"), "results.csv"),
    (lambda folder: batch(folder, share=True), ".batch/shared"),
    (summarised, "summary.md"),
    (summarised, "tokens.svg"),
    (evaluated, ".lock"),
    (evaluated, "judged.jsonl"),
    (evaluated, "eval.json"),
    (evaluated, "report.md"),
    (evaluated, "report.json"),
    (profiled, PROFILE),
]


@pytest.mark.parametrize(("act", "name"), FILES, ids=[name for _, name in FILES])
def test_a_planted_link_is_named_and_its_target_stays_as_it_is(
    tmp_path: Path, act: Callable[[Path], object], name: str
) -> None:
    folder = tmp_path / "theirs"
    act(folder)
    (link,) = folder.glob(name)
    target = tmp_path / "mine"
    link.rename(target)
    before = contents(target)
    link.symlink_to(target)
    with pytest.raises(LinkRefused) as caught:
        act(folder)
    assert f"{link} is a link to {target}" in str(caught.value)
    assert contents(target) == before and link.is_symlink()


@pytest.mark.parametrize(("act", "name"), FILES, ids=[name for _, name in FILES])
def test_a_link_to_nothing_creates_nothing(tmp_path: Path, act: Callable[[Path], object], name: str) -> None:
    folder = tmp_path / "theirs"
    act(folder)
    (link,) = folder.glob(name)
    link.rename(tmp_path / "away")
    link.symlink_to(tmp_path / "nothing")
    with pytest.raises(Exception, match=r"is a link|File exists"):
        act(folder)
    assert not (tmp_path / "nothing").exists()


APPENDED = [
    ".chatdev/lock",
    ".chatdev/events.jsonl",
    ".chatdev/events.jsonl.cut",
    ".chatdev/debug.log",
    ".batch/lock",
    ".batch/tasks.jsonl",
    "results.jsonl",
    "results.csv",
    "judged.jsonl",
]


@pytest.mark.parametrize(
    ("act", "name"), [each for each in FILES if each[1] in APPENDED], ids=[n for _, n in FILES if n in APPENDED]
)
def test_a_hard_link_to_another_file_is_not_written(tmp_path: Path, act: Callable[[Path], object], name: str) -> None:
    folder = tmp_path / "theirs"
    act(folder)
    other = tmp_path / "mine"
    os.link(folder / name, other)
    before = other.read_bytes()
    with pytest.raises(LinkRefused, match="second name"):
        act(folder)
    assert other.read_bytes() == before


def contents(path: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in (path, *path.rglob("*")) if each.is_file()}


def test_reading_follows_no_link_either(tmp_path: Path) -> None:
    log = run_with_log(tmp_path / "run", FINISHED)
    log.rename(tmp_path / "log")
    log.symlink_to(tmp_path / "log")
    for reading in (store.read, store.whole, lambda path: next(store.follow(path))):
        with pytest.raises(LinkRefused, match=r"events\.jsonl is a link"):
            reading(log)
    batch(tmp_path / "b", share=True)
    for name, read in (("plan.json", plan_of), ("shared", shared_code)):
        (tmp_path / "b" / ".batch" / name).rename(tmp_path / name)
        (tmp_path / "b" / ".batch" / name).symlink_to(tmp_path / name)
        with pytest.raises(LinkRefused, match="is a link"):
            read(tmp_path / "b")


@pytest.fixture
def usual_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_files_with_text_of_the_log_are_for_their_owner_only(tmp_path: Path, usual_mask: None) -> None:
    repaired(tmp_path)
    logged(tmp_path)
    delivered(tmp_path)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.rglob("*") if each.is_file()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {
        "events.jsonl",
        "events.jsonl.cut",
        "debug.log",
        "Calc_Org_1.log",
    }
    assert modes["REPORT.md"] == 0o644


def test_a_named_pipe_or_a_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        with pytest.raises(LinkRefused, match=r"pipe is not a regular file"):
            ownfile.handle(tmp_path / "pipe", flags)
    with pytest.raises(LinkRefused, match="pipe is not a regular file"):
        ownfile.write(tmp_path / "pipe", b"x")
    with pytest.raises(LinkRefused, match="/dev/null is not a regular file"):
        ownfile.read(Path("/dev/null"))


def test_a_file_is_emptied_only_after_the_check(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("dear")
    os.link(tmp_path / "mine", tmp_path / "theirs")
    with pytest.raises(LinkRefused):
        ownfile.handle(tmp_path / "theirs", os.O_WRONLY | os.O_TRUNC)
    assert (tmp_path / "mine").read_text() == "dear"
    (tmp_path / "theirs").unlink()
    os.close(ownfile.handle(tmp_path / "mine", os.O_WRONLY | os.O_TRUNC))
    assert (tmp_path / "mine").read_text() == ""


def test_folders_above_ours_may_be_links(tmp_path: Path) -> None:
    (tmp_path / "disk" / ".chatdev").mkdir(parents=True)
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    ownfile.write(tmp_path / "run" / ".chatdev" / "x", b"1", ownfile.PRIVATE)
    with ownfile.appending(tmp_path / "run" / ".chatdev" / "x") as file:
        file.write(b"2")
    assert ownfile.read(tmp_path / "run" / ".chatdev" / "x") == b"12"
    assert [each.name for each in (tmp_path / "disk" / ".chatdev").iterdir()] == ["x"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no")

    ownfile.write(tmp_path / "x", b"old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        ownfile.write(tmp_path / "x", b"new")
    assert contents(tmp_path) == {str(tmp_path / "x"): b"old"}


@pytest.mark.parametrize("name", ["../../mine", "..", "/tmp/mine", "a/b"])
def test_a_batch_that_names_folders_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    batch(tmp_path / "b")
    path = tmp_path / "b" / ".batch" / "tasks.jsonl"
    (task,) = path.read_text().splitlines()
    folder = task.split('"folder":"')[1].split('"')[0]
    for changed in (task.replace(folder, name), task.replace('"folder"', f'"before":["{name}"],"folder"')):
        path.write_text(f"{changed}\n")
        with pytest.raises(UserError, match="names a folder outside of projects"):
            Ledger(tmp_path / "b")


def test_a_log_that_names_a_run_elsewhere_is_not_continued_there(tmp_path: Path) -> None:
    log = Store(runs.log_of(tmp_path / "theirs"))
    log.append(events.RunStarted(4, "0", "../../evil", "Org", "1", "task", "default", "VLLM"))
    log.append(events.PhaseBegan("Coding.1", "Coding"))
    log.close()
    source = config.load(runs.company_of("default")).sources
    config.write(source, tmp_path / "theirs" / ".chatdev" / "company")
    with pytest.raises(UserError, match="no folder can be named"):
        runs.fork(tmp_path / "theirs", "Coding", tmp_path / "a" / "WareHouse")
    assert not list(tmp_path.rglob("*evil*"))


def test_the_lock_of_a_run_is_not_emptied_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("dear")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(LinkRefused, match="lock is a link"):
        lock.acquire(tmp_path / "lock")
    assert (tmp_path / "mine").read_text() == "dear"
