"""Names of files on lines in other languages, and paths of every form."""

import pytest

from chatdev.agents import replies

CODE = "import sys\n\nprint(sys.argv)\n"


def paths(above: str, info: str = "", **options: list[str]) -> list[str]:
    answer = f"…\n\n{above}\n```{info}\n{CODE}```\n"
    return [file.path for file in replies.files(answer, expected=options.get("expected", ()))]


@pytest.mark.parametrize(
    "line",
    [
        "文件名：main.py",
        "**文件：main.py**",
        "文件main.py",
        "### 1. main.py 文件",
        "第一个文件：main.py",
        "步骤 1：创建 main.py",
        "以下是 main.py 的完整代码：",
        "`main.py` 文件内容如下：",
        "创建一个名为 `main.py` 的文件，内容如下：",
        "main.py（主程序）",
        "修改后的main.py：",
        "ファイル名: main.py",
        "`main.py`の内容：",
        "次のコードを `main.py` として保存してください：",
        "파일명: main.py",
        "`main.py` 파일:",
        "Файл: main.py",
        "**Файл:** `main.py`",
        "Создайте файл `main.py` со следующим содержимым:",
        "Вот полный код main.py:",
        "Dateiname: `main.py`",
        "Hier ist der vollständige Code für `main.py`:",
        "Erstelle eine Datei namens `main.py` mit folgendem Inhalt:",
        "Nombre del archivo: main.py",
        "Aquí está el código completo de `main.py`:",
        "Crea un archivo llamado `main.py` con el siguiente contenido:",
        "Nom du fichier : `main.py`",
        "Voici le contenu complet de `main.py` :",
        "Arquivo: main.py",
        "„main.py“:",
        "\u200bmain.py\u200b",
        "🔹 **main.py**",
    ],
)
def test_a_line_in_another_language_names_the_file_and_is_no_part_of_its_path(line: str) -> None:
    assert paths(line) == ["main.py"]


@pytest.mark.parametrize(
    "comment", ["# 文件名：main.py", "# Файл: main.py", "# Datei: main.py", "# ファイル名: main.py"]
)
def test_a_comment_in_another_language_names_the_file(comment: str) -> None:
    assert [file.path for file in replies.files(f"```python\n{comment}\n{CODE}```\n")] == ["main.py"]


@pytest.mark.parametrize(
    "line",
    [
        "运行 main.py：",
        "## 运行 main.py",
        "在 main.py 中添加以下代码：",
        "示例 main.py 输出：",
        "実行 main.py：",
        "Führe `main.py` aus:",
        "Füge in `main.py` hinzu:",
        "Ejecuta main.py:",
        "Запустите main.py:",
        "Замените в main.py:",
        "Remplacez dans `main.py` :",
    ],
)
def test_a_line_about_its_use_or_a_part_of_it_names_no_file(line: str) -> None:
    assert paths(line) == []


def test_a_name_in_another_script_is_kept() -> None:
    assert paths("数据/游戏.py") == ["数据/游戏.py"]
    assert paths("файлы/игра.py") == ["файлы/игра.py"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (r"**snake\_game.py**", "snake_game.py"),
        (r"### pkg/\_\_init\_\_.py", "pkg/__init__.py"),
        (r"pkg\__init__.py", r"pkg\__init__.py"),
        ("app/[id]/page.tsx", "app/[id]/page.tsx"),
        ("### `app/(shop)/[slug]/page.tsx`", "app/(shop)/[slug]/page.tsx"),
        ("File: scenes/player.foo", "scenes/player.foo"),
        ("scenes/player.foo", "scenes/player.foo"),
        ("文件：data.xyz", "data.xyz"),
    ],
)
def test_the_path_is_the_one_that_is_meant(line: str, path: str) -> None:
    assert paths(line) == [path]


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        "player.gd",
        "Token.sol",
        "main.tf",
        "Dockerfile",
        "Dockerfile.dev",
        "Makefile",
        "Justfile",
        ".eslintrc.json",
        ".prettierrc",
        ".python-version",
        "flake.nix",
        "shader.wgsl",
        "solver.f90",
    ],
)
@pytest.mark.parametrize("form", ["{}", "### {}", "**`{}`**", "File: {}"])
def test_files_of_every_kind_have_names(name: str, form: str) -> None:
    assert paths(form.format(name)) == [name]


@pytest.mark.parametrize("info", ["python:{}", '{{.python file="{}"}}', 'gdscript title="{}"', "{}"])
def test_an_info_string_may_name_a_file_of_any_ending(info: str) -> None:
    name = "scenes/player.foo"
    assert paths("", info.format(name), expected=[name]) == [name]


@pytest.mark.parametrize("name", ["gradlew", "data.unheard", "notes.log", "bin/run"])
def test_a_file_that_was_requested_is_read_whatever_its_name(name: str) -> None:
    for line in (name, f"**{name}**", f"### `{name}`:", f"File: {name}"):
        assert paths(line, expected=[name, "other.py"]) == [name]
    assert paths(f"To start it, type {name} and wait.", expected=[name, "other.py"]) == []


@pytest.mark.parametrize("line", ["matplotlib.pyplot", "**os.path**", "Name: John.Smith", "$ main.py", "### self.map"])
def test_modules_people_and_commands_are_no_paths(line: str) -> None:
    assert paths(line) == []


def test_lines_of_a_file_that_are_shown_are_not_the_file() -> None:
    reading = replies.read(f"```12:15:src/app.py\n{CODE}```\n")
    assert [(skipped.path, skipped.why) for skipped in reading.skipped] == [
        ("src/app.py", "it is a part of src/app.py")
    ]
