"""What must hold for any bytes at all, a function for each reader of what others wrote; each raises where it does not.

Hypothesis calls them in the tests, and atheris in ``make fuzz``.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from chatdev.agents import replies
from chatdev.company import classic_folder, config
from chatdev.company.config import CompanyError
from chatdev.journal import events, store
from chatdev.journal.store import JournalError, Store
from chatdev.models.errors import CutShort
from chatdev.models.refusals import Refusal
from chatdev.models.stream import AnswerReader, ServerAnswer
from chatdev.product import compare, examples, probes
from chatdev.product import rows as acceptance_rows
from chatdev.product.packages import requirements
from chatdev.product.sessions import Ended
from chatdev.product.workspace import PathRefused, Workspace, safe_path
from chatdev.project.prompt_texts import fenced
from chatdev.project.prompts import checked


def answers(data: bytes) -> None:
    """Any answer of a model is read without an error, each path once; a requirement is a name and no option."""
    odd = data[:1] == b"\xed"  # lone surrogates, too
    text = (
        data[1 : 1 + len(data[1:]) // 2 * 2].decode("utf-16-le", "surrogatepass")
        if odd
        else data.decode("utf-8", "replace")
    )
    present = {"main.py": "x = 1\ny = 2\n"}
    reading = replies.read(text, finish_reason="length", expected=["main.py"], present=present)
    assert len({file.path for file in reading.files}) == len(reading.files)
    for file in reading.files:
        file.text.encode()
        replies.unfinished(file.path, file.text)
    replies.conclusion(text)
    replies.looping(text)
    replies.choice(text, ["main", "Finished"])
    for line in replies.requirements(text).lines:
        assert requirements(line.encode()), line
        assert not line.startswith(("-", ".", "/")) and "\n" not in line and "//" not in line.partition(";")[0], line


def paths(data: bytes) -> None:
    """A path that a model names is refused, or is written below the root and nowhere else."""
    name = data.decode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as place, contextlib.suppress(PathRefused):
        path = safe_path(name)
        assert safe_path(path) == path
        root = Path(place, "root", "product")
        root.mkdir(parents=True)
        Workspace(root).write(path, b"x")
        written = [file for file in Path(place).rglob("*") if file.is_file()]
        assert written == [root / path]


def quotation(data: bytes) -> None:
    """No line of a text closes the fence that it is quoted in."""
    text = data.decode("utf-8", "replace")
    opening, *inside, closing = fenced(text).split("\n")
    assert set(closing) == {"`"} and opening == closing
    assert not any(line.strip().startswith(closing) for line in inside)


def _log(place: Path) -> bytes:
    log = Store(place / "events.jsonl")
    for event in (
        events.RunStarted(1, "0", "G", "O", "1", "greet", "default", "VLLM"),
        events.MessageStored("id", "user", "hello"),
        events.ModelAnswered(
            place="a.1",
            digest="d",
            role="CEO",
            messages=("id",),
            text="<INFO> é",
            finish_reason="stop",
            prompt_tokens=1,
            completion_tokens=2,
            endpoint="http://h/v1",
            model="m",
        ),
        events.Diagnostic("a.1", "guessed", "x"),
    ):
        log.append(event)
    log.close()
    return log.path.read_bytes()


def log(data: bytes) -> None:
    """A log of any bytes opens or is refused in words; one that was damaged gives what stood before the damage.

    A first byte below 128 says that edits of a whole log follow, as pairs of a place and a byte.
    """
    with tempfile.TemporaryDirectory() as place:
        whole = _log(Path(place))
        path = Path(place, "events.jsonl")
        before = store.read(path)
        edited = bytearray(whole)
        if edits := data[:1] < b"\x80":
            for at in range(1, len(data) - 2, 3):
                edited[int.from_bytes(data[at : at + 2], "big") % len(edited)] = data[at + 2]
        path.write_bytes(bytes(edited) if edits else data)
        try:
            read = store.read(path)
        except JournalError:
            with contextlib.suppress(JournalError):
                Store(path).close()
            return
        opened = Store(path)
        try:
            assert tuple(opened.records) == read
            if edits:
                assert read == before[: len(read)]
            opened.append(events.Diagnostic("b.1", "cut", "after"))
        finally:
            opened.close()
        assert store.read(path)[:-1] == read


FILES = (
    *("company.toml", "background.md", "phases/Coding.md", "roles/Programmer.md", "new.toml"),
    *("ChatChainConfig.json", "PhaseConfig.json", "RoleConfig.json"),
)
_OLD: Mapping[str, str] = {
    "ChatChainConfig.json": '{"chain": [{"phase": "Coding", "phaseType": "SimplePhase", "max_turn_step": 1, '
    '"need_reflect": "False"}], "recruitments": ["Programmer", "Chief Technology Officer"]}',
    "PhaseConfig.json": '{"Coding": {"assistant_role_name": "Programmer", '
    '"user_role_name": "Chief Technology Officer", "phase_prompt": ["Write {task}."]}}',
    "RoleConfig.json": '{"Programmer": ["You write."], "Chief Technology Officer": ["You lead."]}',
}


def company(data: bytes) -> None:
    """A company's folder with any bytes in one file (the first says which) loads, or is a CompanyError."""
    name = FILES[data[0] % len(FILES)] if data else FILES[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "company")
        if name.endswith(".json"):
            config.write(_OLD, folder)
        else:
            shutil.copytree(config.BUILT_IN / "full", folder)
        (folder / name).write_bytes(data[1:])
        with contextlib.suppress(CompanyError):
            checked(classic_folder.load(folder))


def rows(data: bytes) -> None:
    """Rows and a task's examples are read out of any text, and read the same again once they were written; what was
    printed is compared with any text."""
    text, command = data.decode("utf-8", "replace"), "python3 main.py"
    for found in (acceptance_rows.parse(text, command).rows, examples.of_task(text, command, calls=True)):
        again = acceptance_rows.parse(acceptance_rows.render(found, command), command)
        assert not again.unread
        assert sorted(row.title for row in again.rows) == sorted(row.title for row in found)
        assert acceptance_rows.parse(acceptance_rows.render(again.rows, command), command) == again
        assert not set(probes.of_rows(found)) & {row.steps[0].call for row in found}
    assert compare.matches(text, Ended(0, text), exact=True)
    assert compare.matches(text, Ended(0, text), exact=False)


def _heard(pieces: list[bytes]) -> ServerAnswer | Refusal | str:
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
        reader.news()
    try:
        return reader.close()
    except CutShort as error:
        return str(error)


def stream(data: bytes) -> None:
    """A stream of any bytes is an answer, a refusal or CutShort, and the same wherever it is cut.

    The first byte is the length of the pieces.
    """
    size, body = (data[0] % 64 + 1, data[1:]) if data else (1, b"")
    whole = _heard([body])
    assert _heard([body[at : at + size] for at in range(0, len(body), size)]) == whole
    if isinstance(whole, ServerAnswer):
        whole.text.encode()
        whole.reasoning.encode()


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (answers, paths, quotation, log, company, stream, rows)
}
