"""Paths that models name, and files that are written where they belong and nowhere else."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatdev.product.workspace import NotStored, PathRefused, Workspace, changes, safe_path

PIECES = st.sampled_from(
    [".", "..", "/", "\\", "~", "C:", "a", "B", "src", "main.py", "CON", ".git", " ", "é", "́", "-", "\0"]
)
NAMES = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=8).map("".join))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "product").mkdir()
    return Workspace(tmp_path / "product")


def stored(workspace: Workspace) -> dict[str, bytes]:
    """Every regular file by path; links are left out."""
    files = (Path(place) / name for place, _, names in os.walk(workspace.root) for name in names)
    return {file.relative_to(workspace.root).as_posix(): file.read_bytes() for file in files if not file.is_symlink()}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("main.py", "main.py"),
        ("src/app/My-View.py", "src/app/My-View.py"),
        ("./src//app/./x.py", "src/app/x.py"),
        ("src\\app\\x.py", "src/app/x.py"),
        ("  main.py\n", "main.py"),
        ("cafe\u0301.py", "café.py"),
        (".gitignore", ".gitignore"),
        (".env.example", ".env.example"),
        ("src/chatdev.py", "src/chatdev.py"),
        ("Makefile", "Makefile"),
        ("pyproject.toml", "pyproject.toml"),
        ("docs/report.md", "docs/report.md"),
        ("logs/app.log", "logs/app.log"),
        ("my notes.txt", "my notes.txt"),
    ],
)
def test_a_usable_path_is_normalised_and_keeps_its_letters(name: str, path: str) -> None:
    assert safe_path(name) == path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no file"),
        ("./.", "no file"),
        ("src/", "no file"),
        ("/etc/passwd", "absolute"),
        ("\\windows\\x.py", "absolute"),
        ("../x.py", r"\.\."),
        ("a/../../x.py", r"\.\."),
        ("C:\\x.py", "drive"),
        ("c:x.py", "drive"),
        ("~/x.py", "home"),
        ("./~x.py", "home"),
        ("a\0.py", "cannot be seen"),
        ("a\nb.py", "cannot be seen"),
        ("a\u202eyp.exe", "cannot be seen"),
        ("\ud800.py", "cannot be seen"),
        ("a?.py", "not every system"),
        ("-rf", "dash"),
        ("@options.c", "with @"),
        ("src/@options", "with @"),
        ("a/-x.py", "dash"),
        ("a /x.py", "space"),
        ("./\u2002b.py", "space"),
        ("main.py.", "dot"),
        ("con", "Windows"),
        ("src/NUL.txt", "Windows"),
        ("lpt1.tar.gz", "Windows"),
        ("x" * 201, "200 characters"),
        ("ü" * 150, "255 bytes"),
        (".git/hooks/pre-commit", "tools run"),
        (".GitHub/workflows/ci.yml", "tools run"),
        ("sub/.vscode/tasks.json", "tools run"),
        (".git", "tools run"),
        (".envrc", "direnv"),
        (".env", "variables"),
        (".idea/workspace.xml", "tools run"),
        (".git/hooks/post-checkout", "tools run"),
        (".pdbrc", "begins with a dot"),
        (".cargo/config.toml", "begins with a dot"),
        ("sub/.yarnrc.yml", "begins with a dot"),
        ("lib/x.pth", "each start"),
        ("env/pyvenv.cfg", "interpreter"),
        ("My.code-workspace", "tasks"),
        ("mise.toml", "mise"),
        ("chatdev.toml", "settings"),
        ("chatdev/__init__.py", "-m chatdev"),
        ("chatdev.py", "-m chatdev"),
        ("a`b.py", "backtick"),
        ("pkg/SiteCustomize.py", "every Python"),
        ("usercustomize.py", "every Python"),
        ("tests/conftest.py", "pytest"),
        (".chatdev/events.jsonl", "records"),
        ("REPORT.md", "records"),
        ("meta.txt", "records"),
        ("Todo.prompt", "records"),
        ("run.LOG", "records"),
    ],
)
def test_a_dangerous_path_is_refused_and_says_why(name: str, why: str) -> None:
    with pytest.raises(PathRefused, match=why) as caught:
        safe_path(name)
    assert caught.value.path == name


@pytest.mark.parametrize(
    ("name", "taken", "why"),
    [
        ("Main.py", "main.py", "capitals"),
        ("Src/b.py", "src/a.py", "capitals"),
        ("straße.py", "STRASSE.py", "capitals"),
        ("src", "src/a.py", "folder already"),
        ("a.py/b.py", "a.py", "is a file"),
    ],
)
def test_a_path_that_clashes_with_a_file_is_refused(name: str, taken: str, why: str) -> None:
    with pytest.raises(PathRefused, match=why):
        safe_path(name, ["other.py", taken])


def test_an_existing_path_may_be_named_again_and_siblings_do_not_clash() -> None:
    taken = ["src/a.py", "src/ab.py", "main.py"]
    assert [safe_path(path, taken) for path in (*taken, "src/b.py")] == [*taken, "src/b.py"]


@given(NAMES, st.lists(NAMES, max_size=3))
@example("./\u2002b", [])
@example("./~x", [])
def test_an_accepted_path_stays_inside_and_is_stable(name: str, others: list[str]) -> None:
    taken = [path for other in others if (path := accepted(other))]
    path = accepted(name, taken)
    if path is None:
        return
    root = Path("/some/root")
    assert Path(os.path.normpath(root / path)) == root / path
    assert safe_path(path, taken) == path
    assert safe_path(path, [*taken, path]) == path


def accepted(name: str, taken: list[str] | None = None) -> str | None:
    try:
        return safe_path(name, taken or ())
    except PathRefused:
        return None


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(["a.py", "src/b.py", "src/deep/c", "d"]), st.binary(max_size=200)))
def test_what_is_written_reads_back_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("product"))
    for path, data in files.items():
        workspace.write(path, b"an older version")
        workspace.write(path, data)
    assert stored(workspace) == files


@settings(max_examples=50, deadline=None)
@given(NAMES)
def test_every_accepted_path_can_be_written(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("product"))
    if path := accepted(name):
        workspace.write(path, b"x")
        assert stored(workspace) == {path: b"x"}


def test_a_write_replaces_the_file_and_leaves_nothing_else(workspace: Workspace) -> None:
    workspace.write("main.py", b"old")
    other_name = workspace.root.parent / "hard link"
    other_name.hardlink_to(workspace.root / "main.py")
    workspace.write("main.py", b"new")
    assert other_name.read_bytes() == b"old"
    assert [path.name for path in workspace.root.iterdir()] == ["main.py"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary_one(workspace: Workspace) -> None:
    workspace.write("main.py", b"old")
    with pytest.raises(TypeError):
        workspace.write("main.py", "text")  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in workspace.root.iterdir()} == {"main.py": b"old"}


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.py").write_text("untouched")
    yield folder
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"secret.py": "untouched"}


def test_a_link_at_the_target_is_refused(workspace: Workspace, outside: Path) -> None:
    workspace.write("a.py", b"")
    (workspace.root / "main.py").symlink_to(outside / "secret.py")
    with pytest.raises(PathRefused, match="a link is in the way"):
        workspace.write("main.py", b"x")
    assert stored(workspace) == {"a.py": b""}


@pytest.mark.parametrize("path", ["sub/secret.py", "sub/new.py", "sub/deeper/new.py"])
def test_a_link_among_the_folders_is_refused(workspace: Workspace, outside: Path, path: str) -> None:
    workspace.write("a.py", b"")
    (workspace.root / "sub").symlink_to(outside)
    with pytest.raises(PathRefused, match="link"):
        workspace.write(path, b"x")
    assert stored(workspace) == {"a.py": b""}


@pytest.mark.parametrize("path", ["", "/x.py", "../x.py", "a/../x.py", "a//x.py", "./x.py", "a\0b"])
def test_a_path_that_is_not_normal_is_never_written(workspace: Workspace, path: str) -> None:
    with pytest.raises(PathRefused, match="no path below"):
        workspace.write(path, b"x")


def test_a_file_where_a_folder_should_be_is_refused_and_the_reverse(workspace: Workspace) -> None:
    workspace.write("a", b"")
    workspace.write("folder/b", b"")
    with pytest.raises(PathRefused, match="not a folder"):
        workspace.write("a/b", b"x")
    with pytest.raises(PathRefused, match="something else is in the way"):
        workspace.write("folder", b"x")


def test_what_the_system_refuses_is_reported_plainly(workspace: Workspace) -> None:
    with pytest.raises(NotStored, match="too long"):
        workspace.write("n" * 300, b"x")


def test_files_are_plain_files_whatever_stood_there_before(workspace: Workspace) -> None:
    workspace.write("run.sh", b"echo")
    mode = (workspace.root / "run.sh").stat().st_mode
    assert stat.S_ISREG(mode) and not mode & (stat.S_IXUSR | stat.S_IWOTH)


def test_changes_count_lines_and_show_a_diff() -> None:
    assert changes("a\nb\nc\n", "a\nB\nc\nd\n") == (2, 1, "@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d")
    assert changes("a\n", "a\n") == (0, 0, "")
    assert changes(None, "a\nb\n") == (2, 0, "@@ -0,0 +1,2 @@\n+a\n+b")


def test_a_long_diff_is_cut_with_a_mark_and_still_counted() -> None:
    added, removed, diff = changes(None, "".join(f"line {number}\n" for number in range(500)))
    assert (added, removed) == (500, 0)
    assert diff.count("\n") == 200 and diff.endswith("… 301 more lines of this diff")
    assert len(changes(None, "x" * 100_000)[2]) < 1_000


def test_versions_too_large_to_compare_are_counted_by_their_lines() -> None:
    old = "".join(f"{number % 7}\n" for number in range(1_001))
    assert changes(old, old + "new\n") == (1, 0, "(too large to compare line by line)")


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(NotStored, match="no longer exists"):
        Workspace(tmp_path / "gone").write("main.py", b"")
    assert not (tmp_path / "gone").exists()


def test_what_a_killed_process_left_half_written_is_swept_away(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".chatdev-new-0a").write_text("not ours to take")
    workspace.write("pkg/main.py", b"pass\n")
    for folder in (workspace.root, workspace.root / "pkg"):
        (folder / ".chatdev-new-0123456789abcdef").write_text("hal")
    (workspace.root / "link").symlink_to(outside)
    workspace.sweep()
    left = {path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*")}
    assert left == {"link", "pkg", "pkg/main.py"}
    assert (outside / ".chatdev-new-0a").exists()
