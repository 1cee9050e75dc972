from pathlib import Path

import pytest

from chatdev import runs
from chatdev.errors import UserError
from chatdev.fleet import tasks
from chatdev.fleet.tasks import TaskRow


def file(tmp_path: Path, text: str | bytes, name: str = "tasks.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        tasks.read(path)
    return str(caught.value)


def test_srdd_s_columns_work_as_they_are(tmp_path: Path) -> None:
    text = 'Name,Description,Category\nPong,"a game, for two",Game\nNotes,"takes\r\nnotes",Tool\n'
    assert tasks.read(file(tmp_path, text)) == (
        TaskRow("Pong", "a game, for two", "Game", 2),
        TaskRow("Notes", "takes\r\nnotes", "Tool", 3),
    )


def test_a_spreadsheet_s_mark_and_semicolons_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf\r\nTASK;Name;Owner\r\n\r\nwrite a poem;Poem;Ann\r\nb;;\r\n"
    assert tasks.read(file(tmp_path, text)) == (
        TaskRow("Poem", "write a poem", number=4, more={"Owner": "Ann"}),
        TaskRow("b", "b", number=5, more={"Owner": ""}),
    )


def test_a_task_alone_gives_the_project_its_name(tmp_path: Path) -> None:
    (row,) = tasks.read(file(tmp_path, "task\none two three four five six seven\n"))
    assert row.name == "one two three four five six"


def test_json_lines_are_read(tmp_path: Path) -> None:
    text = '{"task": "a", "name": "A", "size": 3}\n\n{"description": "b", "category": null}\n'
    assert tasks.read(file(tmp_path, text, "tasks.jsonl")) == (
        TaskRow("A", "a", number=1, more={"size": "3"}),
        TaskRow("b", "b", number=3),
    )


def test_every_bad_row_is_named_by_its_line(tmp_path: Path) -> None:
    message = refused(file(tmp_path, "name,task\nA,\nB,b,c\nC,c\n"))
    assert "line 2: the task is empty" in message
    assert "line 3: 3 fields, but 2 columns" in message
    assert "line 4" not in message


def test_bad_lines_of_json_are_named(tmp_path: Path) -> None:
    message = refused(file(tmp_path, '{"task": "a"}\n{"task": \n["a"]\n{"task": {}}\n', "tasks.jsonl"))
    assert all(f"line {number}: not a JSON object" in message for number in (2, 3, 4))


def test_only_the_first_of_many_bad_rows_are_reported(tmp_path: Path) -> None:
    assert "and 12 more" in refused(file(tmp_path, "name,task\n" + "A,\n" * 20))


def test_an_open_quote_is_reported_where_it_begins(tmp_path: Path) -> None:
    assert "line 3: unexpected end of data" in refused(file(tmp_path, 'name,task\nA,a\nB,"b\nC,c\n'))


def test_a_file_without_a_column_for_tasks_says_which_it_has(tmp_path: Path) -> None:
    message = refused(file(tmp_path, "title,text\na,b\n"))
    assert "its columns are title, text" in message
    assert "task, description, prompt" in message


def test_a_file_without_a_row_or_that_is_not_there_or_no_utf8_is_refused(tmp_path: Path) -> None:
    assert "contains no tasks" in refused(file(tmp_path, "name,task\n"))
    assert "contains no tasks" in refused(file(tmp_path, ""))
    assert "No such file" in refused(tmp_path / "nothing.csv")
    assert "not UTF-8 (line 2, byte 0xfc)" in refused(file(tmp_path, "name,task\nü,a\n".encode("latin-1")))


def test_conditions_of_one_column_add_up_and_those_of_several_narrow() -> None:
    named = list(
        tasks.identities(
            [TaskRow("A", "a", "Game"), TaskRow("B", "b", "Tool"), TaskRow("C", "c", "Web", more={"Size": "L"})]
        )
    )

    def kept(*conditions: str) -> list[str]:
        return [row.name for _, row in tasks.where(named, conditions)]

    assert kept() == ["A", "B", "C"]
    assert kept("Category = game", "category=TOOL") == ["A", "B"]
    assert kept("category=web", "size=l") == ["C"]
    assert kept("category=web", "name=a") == []
    for condition in ("Colour=red", "category"):
        with pytest.raises(UserError, match=r"one of the columns: .*category"):
            kept(condition)


def test_a_row_keeps_its_identity_while_others_come_before_it() -> None:
    a, b = TaskRow("A", "a", number=2), TaskRow("B", "b", number=3)
    before = {row.name: name for name, row in tasks.identities([a, b])}
    after = [name for name, _ in tasks.identities([TaskRow("New", "n"), b, a, a])]
    assert after[1:3] == [before["B"], before["A"]]
    assert len(set(after)) == 4


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Todo App", "Todo_App"),
        ("../../etc/passwd", "etc_passwd"),
        ("a:b|c?", "a_b_c"),
        ("  .hidden", "hidden"),
        ("Größe 大", "Größe_大"),
        ("bad\x00\x1bname\nnext", "badname_next"),
        ("...", "project"),
        ("", "project"),
        ("é" * 90, "é" * 30),
    ],
)
def test_a_folder_s_name_can_be_stored_anywhere(name: str, folder: str) -> None:
    made = tasks.folder_name(name, ())
    assert made == folder
    assert not runs.unusable(made)


def test_names_that_differ_in_capitals_alone_get_different_folders() -> None:
    assert tasks.folder_name("TODO", {"todo", "todo-2"}) == "TODO-3"


def test_a_column_tells_which_sample_of_its_task_a_row_is(tmp_path: Path) -> None:
    rows = tasks.read(file(tmp_path, "name,task,Sample\nA,a,\nA,a,2\nA,a,3\n"))
    assert [row.sample for row in rows] == [0, 2, 3]
    named = list(tasks.identities(rows))
    assert len({name for name, _ in named}) == 3 and not any("-" in name for name, _ in named)
    assert [row.sample for _, row in tasks.where(named, ["sample=2"])] == [2]
    message = refused(file(tmp_path, "name,task,sample\nA,a,-1\nB,b,two\nC,c,1\n"))
    assert "line 2: the sample is '-1'" in message and "line 3: the sample is 'two'" in message
