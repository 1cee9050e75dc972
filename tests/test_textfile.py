"""Text from editors and spreadsheets of every system, in each place where people give one."""

import codecs
from pathlib import Path

import click
import pytest

from chatdev import textfile
from chatdev.cli import options
from chatdev.company import classic_folder, config
from chatdev.errors import ChatDevError, SettingsError, UserError
from chatdev.evaluation import sets
from chatdev.fleet import tasks
from chatdev.playback import recording
from chatdev.product import packages
from chatdev.project import environment
from chatdev.settings import load

MARK = codecs.BOM_UTF8


def written(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    return path


def test_a_mark_and_the_ends_of_windows_lines_are_no_part_of_a_text(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "Größe\nzwei\n")
    assert textfile.read(path) == "Größe\nzwei\n"
    assert textfile.read(path, newlines=False) == "Größe\r\nzwei\r\n"
    assert textfile.decode(b"a\rb", "x") == "a\nb"
    assert textfile.decode(b"", "x") == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("Größe".encode("utf-16"), "x is UTF-16, not UTF-8"),
        ("a task".encode("utf-16-le"), "x is UTF-16, not UTF-8"),
        ("a task".encode("utf-16-be"), "x is UTF-16, not UTF-8"),
        ("a task".encode("utf-32"), "x is UTF-32, not UTF-8"),
        ("one\nGröße".encode("cp1252"), r"x is not UTF-8 \(line 2, byte 0xf6\)"),
    ],
)
def test_another_encoding_is_named_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as error:
        textfile.decode(data, "x", SettingsError)
    assert "Save it as UTF-8" in error.value.do
    assert "codec" not in str(error.value)


def test_a_file_that_is_not_there_is_an_error_of_the_kind_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(config.CompanyError, match="nowhere cannot be read"):
        textfile.read(tmp_path / "nowhere", config.CompanyError)


COMPANY = {
    "company.toml": """name = "Mine"
[[chain]]
phase = "Talk"
[requests]
""",
    "background.md": "Background",
    "context.md": "Context",
    "roles/A.md": "You are A.",
    "roles/B.md": "You are B.",
    "phases/Talk.md": '+++\nassistant = "A"\nuser = "B"\n+++\nSay it.\n',
}


def test_a_company_saved_on_windows_is_the_same_company(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain" / "Mine", tmp_path / "marked" / "Mine"
    sources = config.load(config.find("classic")).sources
    for name, text in sources.items():
        for folder in (plain, marked):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (plain / name).write_text(text, encoding="utf-8")
        written(marked / name, text)
    assert classic_folder.load(marked) == classic_folder.load(plain)
    written(marked / "roles" / "Programmer.md", "Größe", "cp1252")
    with pytest.raises(config.CompanyError, match=r"Programmer\.md is not UTF-8 \(line 1"):
        classic_folder.load(marked)


def test_settings_saved_on_windows_are_settings(tmp_path: Path) -> None:
    written(tmp_path / "chatdev.toml", 'vllm_model_name = "qwen"\n')
    assert load({}, tmp_path).vllm_model_name == "qwen"
    written(tmp_path / "chatdev.toml", 'vllm_model_name = "qwen"\n', "utf-16")
    with pytest.raises(SettingsError, match=r"chatdev\.toml is UTF-16"):
        load({}, tmp_path)


def test_a_task_saved_on_windows_is_that_task(tmp_path: Path) -> None:
    path = written(tmp_path / "task.txt", "create a\ncalculator\n")
    assert options.read_task(f"@{path}") == "create a\ncalculator"
    assert options.read_task("\ufeffcreate a calculator") == "create a calculator"
    written(path, "Größe", "cp1252")
    with pytest.raises(click.UsageError, match="Save it as UTF-8"):
        options.read_task(f"@{path}")


def test_a_task_that_begins_with_an_at_sign_can_be_given_and_the_error_says_how(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r'write this character twice: --task "@@…"'):
        options.read_task("@mention people in a chat")
    assert options.read_task("@@mention people in a chat") == "@mention people in a chat"
    assert options.read_task("@@") == "@"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", ["sep={}", '"sep={}"', "SEP={}", "sep={};;"])
def test_a_spreadsheet_may_state_its_separator(tmp_path: Path, separator: str, stated: str) -> None:
    text = f"{stated.format(separator)}\nname{separator}task\nA{separator}one, two; three\n"
    if separator in ",;":
        text = text.replace("one, two; three", '"one, two; three"')
    (row,) = tasks.read(written(tmp_path / "t.csv", text))
    assert (row.name, row.task, row.number) == ("A", "one, two; three", 3)


def test_lists_in_another_encoding_say_how_to_save_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv is UTF-16"):
        tasks.read(written(tmp_path / "t.csv", "task\nGröße\n", "utf-16"))
    with pytest.raises(UserError, match=r"tasks\.jsonl is not UTF-8 \(line 1"):
        sets.load(written(tmp_path / "tasks.jsonl", '{"name": "Größe"}\n', "cp1252"))
    with pytest.raises(ChatDevError, match=r"r\.recording is UTF-16"):
        recording.read(written(tmp_path / "r.recording", "+++\n+++\n", "utf-16"))


def test_requirements_saved_on_windows_keep_their_first_line(tmp_path: Path) -> None:
    path = written(tmp_path / "requirements.txt", "flask\nnumpy\n")
    assert environment.wanted(tmp_path).lines == ("flask", "numpy")
    assert packages.requirements(path.read_bytes()) == ["flask", "numpy"]
