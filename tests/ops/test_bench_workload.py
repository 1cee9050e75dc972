"""What is asked: the requests of a real run, and projects that differ where real ones do."""

from pathlib import Path

import pytest
from benching import CALLS, SYSTEM, TASK, WORKLOAD
from helpers.support import ANSWERS, recording, run

from chatdev import runs
from chatdev.errors import UserError
from chatdev.models.types import Message
from chatdev.ops.bench import workload
from chatdev.ops.bench.workload import RecordedCall, Workload


async def test_a_runs_requests_are_those_of_its_log(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS))
    found = workload.of_run(ran.folder)
    places = [call.place for call in found.calls]
    assert (places[:4], set(places)) == (list(ANSWERS)[:4], set(ANSWERS))  # some were asked side by side
    assert found.task == "greet"
    assert ran.folder.name in found.title
    first = found.calls[0]
    assert [message.role for message in first.messages] == ["system", "user"]
    assert "greet" in first.messages[0].content
    assert first.tokens > 1
    assert found.tokens == sum(call.tokens for call in found.calls)


def test_a_run_without_answers_is_refused(tmp_path: Path) -> None:
    folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), tmp_path)
    with pytest.raises(UserError, match="No model answered"):
        workload.of_run(folder)


def test_projects_share_what_stands_before_the_task_and_no_more() -> None:
    one, other = WORKLOAD.project("a-1"), WORKLOAD.project("a-2")
    start = SYSTEM.content.index(TASK)
    for mine, theirs, recorded in zip(one, other, CALLS, strict=True):
        mine_first, their_first = mine.messages[0].content, theirs.messages[0].content
        assert mine_first[:start] == their_first[:start] == SYSTEM.content[:start]
        assert mine_first[start:] == f"(project a-1) {SYSTEM.content[start:]}"
        assert mine_first != their_first
        assert mine.messages[1:] == recorded.messages[1:]
    assert one[0].messages[0] == one[1].messages[0]  # within a project, the prefix stays


def test_only_the_task_as_words_is_marked() -> None:
    call = RecordedCall("A.1", (Message("user", "greeting"), Message("user", "greet, greet")), 1)
    marked = Workload("", "greet", (call,)).project("1")[0].messages
    assert [message.content for message in marked] == ["greeting", "(project 1) greet, greet"]
    assert not Workload("", "sing", (call,)).contains_task(call)


def test_what_a_project_takes_is_estimated_from_above() -> None:
    most = WORKLOAD.most()
    assert most.completion_tokens == 16
    assert most.prompt_tokens > sum(len(m.content) for call in CALLS for m in call.messages) / 4
