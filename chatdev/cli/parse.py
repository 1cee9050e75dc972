"""``chatdev parse``: what ChatDev extracts from a model's answer."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click


@click.command(name="parse")
@click.argument("file", type=click.Path(allow_dash=True, path_type=Path))
@click.option(
    "--jsonl", is_flag=True, help='FILE is JSON lines, each with an answer in "response"; print JSON for each.'
)
@click.option("--expected", multiple=True, metavar="PATH", help="A file that the question asked for. Repeatable.")
def command(file: Path, jsonl: bool, expected: tuple[str, ...]) -> None:
    """Show what ChatDev extracts from a model's answer.

    Prints the files and the conclusion of the answer in FILE, with doubts about them. FILE may end in .gz; "-" is
    standard input.

    With --jsonl, each line gives {"files": [{"name", "sha1", "cut", "doubts"}], "conclusion", "milliseconds"}. The sha1
    is that of the content without its last newline, because that newline belongs to the fence.
    """
    from chatdev.cli import common
    from chatdev.errors import UserError

    try:
        with _opened(file) as stream:
            for line in _as_json(stream, expected) if jsonl else _for_a_person(stream.read(), expected):
                common.echo(line)
    except UnicodeDecodeError:
        common.fail(UserError(f"{file} is not UTF-8.", do="Save it as UTF-8."))
    except (OSError, EOFError) as error:
        common.fail(UserError(f"{file} cannot be read ({error})."))
    except ValueError as error:
        common.fail(UserError(str(error), do='Give a JSON object with the text in "response" on each line.'))


def _opened(file: Path) -> IO[str]:
    if str(file) == "-":
        return sys.stdin
    if file.suffix == ".gz":
        import gzip

        return gzip.open(file, "rt", encoding="utf-8-sig")
    return file.open(encoding="utf-8-sig", newline="")


def _for_a_person(text: str, expected: tuple[str, ...]) -> Iterator[str]:
    from chatdev.agents import replies

    reading = replies.read(text, expected=expected)
    for file in reading.files:
        doubts = f"  ({', '.join(file.doubts)})" if file.doubts else ""
        yield f"file        {file.path}  {file.text.count(chr(10))} lines{doubts}"
        if why := replies.unfinished(file.path, file.text):
            yield f"            unfinished: {why}"
    for skip in reading.skipped:
        name = f" {skip.path}" if skip.path else ""
        yield f"no file     line {skip.line}{name}: {skip.why}: {skip.first}"
    conclusion = replies.conclusion(text)
    yield f"conclusion  {conclusion if conclusion is not None else 'none'}"
    if replies.looping(text):
        yield "loop        it ends by repeating the same words"


def _as_json(lines: IO[str], expected: tuple[str, ...]) -> Iterator[str]:
    import msgspec

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"Line {number} is not JSON ({error}).") from None
        response = entry.get("response") if isinstance(entry, dict) else None
        if not isinstance(response, str):
            raise ValueError(f'Line {number} has no text in "response".')
        finish = entry.get("finish_reason")
        extracted = _read(response, finish if isinstance(finish, str) else "stop", expected)
        yield msgspec.json.encode(extracted).decode()


def _read(response: str, finish_reason: str, expected: tuple[str, ...]) -> dict[str, Any]:
    import hashlib
    import time

    from chatdev.agents import replies

    start = time.process_time()
    files = replies.files(response, finish_reason=finish_reason, expected=expected)
    conclusion = replies.conclusion(response)
    elapsed = time.process_time() - start
    return {
        "files": [
            {
                "name": file.path,
                "sha1": hashlib.sha1(file.text.removesuffix("\n").encode(), usedforsecurity=False).hexdigest(),
                "cut": file.cut,
                "doubts": file.doubts,
            }
            for file in files
        ],
        "conclusion": conclusion,
        "milliseconds": round(1000 * elapsed, 3),
    }
