"""Code that an answer leaves out, said in other languages, with dots, or by a file that shrinks."""

import pytest

from chatdev.agents import replies


@pytest.mark.parametrize(
    "line",
    [
        "# 其余代码保持不变",
        "# ... 其他代码不变",
        "# （其余部分与之前相同）",
        "// 其他方法保持不变",
        "# 其余不变",
        "# 此处省略其他函数",
        "# 同上",
        "# 原有代码...",
        "（其余代码保持不变）",
        "# ……其他方法……",
        "# 残りのコードは変更なし",
        "# 以下同様",
        "# 既存のメソッドはそのまま",
        "# 나머지 코드는 동일합니다",
        "# 이하 생략",
        "# остальной код без изменений",
        "# Остальные методы остаются прежними",
        "# ... остальное",
        "# Rest des Codes bleibt unverändert",
        "# restliche Methoden bleiben gleich",
        "# el resto del código permanece igual",
        "# (resto de los métodos)",
        "# Los demás métodos permanecen iguales",
        "# le reste du code reste inchangé",
        "// reste des fonctions",
        "# o resto do código permanece o mesmo",
        "# il resto del codice rimane invariato",
        "# reszta kodu bez zmian",
        "# rest van de code blijft hetzelfde",
        "# kodun geri kalanı aynı",
        "# ... weiter wie oben ...",
        "# … etc …",
    ],
)
def test_code_left_out_is_marked_in_every_language(line: str) -> None:
    (file,) = replies.files(f"main.py\n```\nimport sys\n{line}\n```\n")
    assert (file.elided, file.whole) == (line, False)


@pytest.mark.parametrize(
    "line",
    [
        "# 如果没有命中，分数保持不变",
        "# 其他玩家的分数保持不变",
        "# 超过长度时显示省略号",
        "# 计算剩余的时间",
        "# 残りの時間を表示する",
        "# 나머지를 계산한다",
        "# остаток от деления",
        "# считает остальные очки",
        "# Der Rest der Division",
        "# bleibt gleich, wenn nichts getroffen wurde",
        "# el resto de la división",
        "# le reste de la division",
        "# el marcador permanece igual",
        "# Loading...",
        "print('其余代码保持不变')",
    ],
)
def test_ordinary_comments_in_other_languages_are_not(line: str) -> None:
    (file,) = replies.files(f"main.py\n```\nimport sys\n{line}\n```\n")
    assert (file.elided, file.whole) == ("", True)


LONG = "".join(f"def part{number}():\n    return {number}\n" for number in range(30))


def test_dots_in_a_file_that_became_much_shorter_are_code_left_out() -> None:
    short = "def part1():\n    return 2\n# pozostałe funkcje...\n"
    answer = f"main.py\n```python\n{short}```\n"
    (file,) = replies.read(answer, expected=["main.py"], present={"main.py": LONG}).files
    assert (file.whole, file.elided) == (False, "# pozostałe funkcje...")
    for present in ({}, {"main.py": short}, {"other.py": LONG}):
        (file,) = replies.read(answer, expected=["main.py"], present=present).files
        assert file.whole


def test_a_file_that_became_shorter_without_such_a_comment_is_whole() -> None:
    answer = "main.py\n```python\n# Waits for it.\nprint('...')\n```\n"
    (file,) = replies.read(answer, expected=["main.py"], present={"main.py": LONG}).files
    assert file.whole
