"""The options of a run: each can be typed where it applies, arrives, and overrides earlier ones by one rule."""

import re
from pathlib import Path
from typing import Any

import pytest
from command_line import type_in

from chatdev import runs
from chatdev.cli.evaluating import parse_words
from chatdev.company.graph import Network
from chatdev.fleet.plan import plan_of
from chatdev.journal import events
from chatdev.journal.store import read
from chatdev.run_options import AT_START, FIELDS, FOR_RESUME, OF_COMPANY, UNTYPED, RunOptions

TYPED: dict[str, tuple[tuple[str, ...], Any]] = {
    "role_models": (("--role-model", "Programmer=coder"), ("Programmer=coder",)),
    "limits": (
        ("--max-calls", "90", "--max-tokens-total", "900000", "--max-minutes", "7"),
        {"calls": 90, "tokens": 900_000, "minutes": 7.0},
    ),
    "endpoints": (("--endpoint", "127.0.0.1:9", "--endpoint", "127.0.0.1:8"), ("127.0.0.1:9", "127.0.0.1:8")),
    "local_only": (("--local-only",), True),
    "max_cost": (("--max-cost", "0"), 0.0),
    "second_opinion": (("--second-opinion",), True),
    "wait": (("--wait", "0.01"), 0.01),
    "candidates": (("--candidates", "1"), 1),
    "network": (("--topology", "tree", "--agents", "3"), Network(topology="tree", agents=3).as_json),
    "effort": (("--effort", "low"), "low"),
    "sample": (("--sample", "2"), 2),
    "ignore_unsupported": (("--ignore-unsupported",), True),
    "settings": (("--set", "Drafting.candidates=2"), ("Drafting.candidates=2",)),
}
OTHER: dict[str, Any] = {
    "role_models": ("Tester=small", "Programmer=large"),
    "limits": {"calls": 5, "cost": 1.5},
    "endpoints": ("gpu:1",),
    "local_only": True,
    "max_cost": 2.0,
    "second_opinion": True,
    "wait": 5.0,
    "candidates": 3,
    "network": Network(topology="star", agents=5).as_json,
    "effort": "high",
    "settings": ("Coding.candidates=3",),
    "sample": 4,
    "ignore_unsupported": True,
}
VALUES = {name: value for name, (_, value) in TYPED.items()}
ALL = RunOptions(**VALUES)


def words(fields: tuple[str, ...] = FIELDS) -> tuple[str, ...]:
    return tuple(word for name in fields for word in TYPED[name][0])


def started(folder: Path) -> RunOptions:
    (log,) = folder.glob("*/.chatdev/events.jsonl")
    return RunOptions(**runs.started(read(log), log).as_fields())


@pytest.mark.parametrize(
    "command",
    [("run.py", "--task", "greet", "--name", "Greeting"), ("chatdev", "build", "greet", "--name", "Greeting")],
    ids=["run.py", "build"],
)
def test_a_run_is_started_with_every_option_as_typed(tmp_path: Path, command: tuple[str, ...]) -> None:
    type_in(tmp_path, *command, "--model", "STUB", *words())
    assert started(tmp_path / "WareHouse") == ALL


def test_a_batch_keeps_every_option_as_typed_and_starts_its_projects_with_them(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,name\ngreet,Greeting\n")
    type_in(tmp_path, "chatdev", "batch", "tasks.csv", "--out", "out", "--model", "STUB", *words())
    plan = plan_of(tmp_path / "out")
    assert plan is not None and RunOptions(**plan.as_fields()) == ALL
    assert plan.of_each == started(tmp_path / "out" / "projects")
    assert plan.of_each.max_cost is None  # it is for all projects together


def test_a_batch_that_continues_takes_what_is_not_typed_from_its_plan(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,name\ngreet,Greeting\n")
    batch = ("chatdev", "batch", "tasks.csv", "--out", "out", "--model", "STUB")
    type_in(tmp_path, *batch, *words(("limits", "max_cost", "settings")))
    type_in(tmp_path, *batch, "--max-calls", "3", "--candidates", "2")
    plan = plan_of(tmp_path / "out")
    assert plan is not None and (plan.max_cost, plan.candidates, plan.settings) == (0.0, 2, VALUES["settings"])
    assert plan.limits == {**VALUES["limits"], "calls": 3}


def test_an_arm_of_an_evaluation_takes_every_option_of_a_company() -> None:
    plan = parse_words(("default", *words(OF_COMPANY)))
    assert RunOptions(**plan.as_fields()) == RunOptions(**{name: VALUES[name] for name in OF_COMPANY})


def test_a_resume_takes_every_option_that_can_still_change_and_records_it(tmp_path: Path, server: str) -> None:
    request = runs.RunRequest("greet", "Greeting", config="full", limits={"calls": 5, "cost": 1.5}, effort="normal")
    folder = runs.begin(request, tmp_path / "WareHouse")
    own = ("--endpoint", server, "--role-model", f"Programmer=@{server}")
    others = tuple(name for name in FOR_RESUME if name not in ("endpoints", "role_models"))
    done = type_in(tmp_path, "chatdev", "resume", folder.name, "--model", "VLLM", *own, *words(others))
    assert done.returncode == 0, done.stderr
    expected = {name: VALUES[name] for name in others} | {"endpoints": (server,), "role_models": own[-1:]}
    limits = VALUES["limits"] | {"cost": 1.5}
    records = read(runs.log_of(folder))
    assert runs.options_of(records, folder) == RunOptions(**expected | {"limits": limits, "effort": "normal"})
    (attempt,) = (record.event for record in records if isinstance(record.event, events.AttemptStarted))
    assert attempt.as_fields() == runs.options_of(records, folder).as_fields()


@pytest.mark.parametrize(("typed", "seeds"), [((), set()), (("--sample", "7"), {"7"})], ids=["default", "sample 7"])
def test_a_sample_is_the_seed_of_all_calls_and_without_one_no_seed_is_sent(
    tmp_path: Path, server: str, typed: tuple[str, ...], seeds: set[str]
) -> None:
    run = ("--task", "greet", "--name", "Greeting", "--model", "VLLM", "--config", "full", *typed)
    assert type_in(tmp_path, "run.py", *run, VLLM_ENDPOINT=server, VLLM_DEBUG="1").returncode == 0
    (log,) = tmp_path.glob("WareHouse/*/.chatdev/debug.log")
    requests = [line for line in log.read_text().splitlines() if '"messages"' in line]
    assert requests and set(re.findall(r'"seed": ?(\d+)', "\n".join(requests))) == seeds
    assert sum('"seed"' in line for line in requests) == (len(requests) if seeds else 0)


def test_a_number_in_a_row_of_a_batch_comes_before_the_sample_of_the_batch(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,name,sample\ngreet,First,3\ngreet,Second,\n")
    type_in(tmp_path, "chatdev", "batch", "tasks.csv", "--out", "out", "--model", "STUB", "--sample", "2")
    logs = sorted(tmp_path.glob("out/projects/*/.chatdev/events.jsonl"))
    assert [runs.started(read(log), log).sample for log in logs] == [3, 2]


def test_the_values_above_are_for_every_option() -> None:
    assert set(OTHER) == set(TYPED) == set(FIELDS)


@pytest.mark.parametrize("name", TYPED)
def test_what_is_typed_overrides_and_what_is_not_typed_is_kept(name: str) -> None:
    previous, typed = RunOptions(**OTHER), RunOptions(**{name: VALUES[name]})
    value = {**OTHER[name], **VALUES[name]} if name == "limits" else VALUES[name]  # limits are merged by name
    assert typed.over(previous) == RunOptions(**{**OTHER, name: value})
    assert previous.resumed(typed) == RunOptions(**{**OTHER, name: OTHER[name] if name in AT_START else value})
    assert (UNTYPED.over(previous), typed.over(UNTYPED)) == (previous, typed)
