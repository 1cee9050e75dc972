"""Times that no clock shows, and names of files that are not UTF-8: plain results, never a traceback."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import type_in
from helpers.support import ANSWERS, recording, run

from chatdev import runs
from chatdev.cli.main import cli
from chatdev.errors import ChatDevError
from chatdev.journal import events, reading, store
from chatdev.playback.faults import FaultSpec
from chatdev.views import formatting

TIMES = ["31556889864403199", "1e308", "1e999", "-1e18", "-0.5", "9" * 400]


def retimed(log: Path, at: str, every: int) -> None:
    """Give every n-th record of a log this time, with a right checksum."""
    lines = []
    for number, line in enumerate(log.read_bytes().splitlines(), 1):
        raw = json.loads(line)
        event = json.dumps(raw["event"], ensure_ascii=False, separators=(",", ":")).encode()
        when = at.encode() if number % every == 0 else repr(raw["at"]).encode()
        check = reading.checksum(number, when, event).encode()
        lines.append(b'{"n":%d,"at":%s,"crc":"%s","event":%s}\n' % (number, when, check, event))
    log.write_bytes(b"".join(lines))


async def test_a_run_with_absurd_times_is_shown_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = tmp_path / "WareHouse"
    with pytest.raises(ChatDevError):
        await run(warehouse, recording(ANSWERS), FaultSpec(place="CodeReview.1", status=401))
    (original,) = warehouse.iterdir()
    monkeypatch.chdir(tmp_path)
    for number, at in enumerate(TIMES):
        folder = warehouse / f"Case{number}"
        shutil.copytree(original, folder, symlinks=True)
        retimed(runs.log_of(folder), at, every=1 + number % 3)
        assert (await run(warehouse, recording(ANSWERS), folder=folder)).verdict.verdict == "passed"
        retimed(runs.log_of(folder), at, every=1 + number % 2)
        for words in (["show"], ["show", "--json"], ["show", "--follow"], ["show", "--follow", "--json"], ["resume"]):
            shown = CliRunner().invoke(cli, [words[0], folder.name, *words[1:]], catch_exceptions=False)
            assert shown.exit_code == 0, (at, words, shown.output)
        assert all(0 <= record.at <= reading.LATEST for record in store.read(runs.log_of(folder)))
    assert CliRunner().invoke(cli, ["runs"], catch_exceptions=False).output.count("passed") == len(TIMES)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_a_duration_that_makes_no_sense_is_unknown(value: float) -> None:
    assert formatting.seconds(value) == "unknown"


def write(folder: Path, files: dict[bytes, str]) -> None:
    for name, text in files.items():
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_names_that_are_not_utf8_are_judged_and_printed_as_json(tmp_path: Path) -> None:
    test = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        import main\n"
    write(
        tmp_path / "product",
        {b"main.py": "print(1)\n", b"\xff.py": "", b"d\xe9/x.txt": "", b"tests/test_\xff.py": test},
    )
    done = type_in(tmp_path, "chatdev", "test", "product", "--json")
    assert "Traceback" not in done.stderr
    ids = [each["id"] for each in json.loads(done.stdout)["tests"]]
    assert "tests/test_?.py::T::test_a" in ids


@pytest.mark.skipif(not shutil.which("cc") and not shutil.which("gcc"), reason="needs a C compiler")
def test_a_c_product_with_such_names_is_built_and_judged(tmp_path: Path) -> None:
    test = '#include <stdio.h>\nint main() { puts("ok 1 - a\\n1..1"); }\n'
    write(
        tmp_path / "product",
        {b"main.c": "int main() { return 0; }\n", b"\xe9.c": "int f() { return 1; }\n", b"tests/test_\xff.c": test},
    )
    for more in ((), ("--json",)):
        done = type_in(tmp_path, "chatdev", "test", "product", *more)
        assert "Traceback" not in done.stderr
        assert "tests/test_" in done.stdout and "not run (every test passes without the product)" in done.stdout


def test_a_run_whose_folder_is_not_utf8_is_listed_and_shown(tmp_path: Path) -> None:
    log = store.Store(runs.log_of(Path(os.fsdecode(os.fsencode(tmp_path) + b"/WareHouse/Bad\xff_Org_1"))))
    log.append(events.RunStarted(4, "0", "Bad", "Org", "1", "task", "default", "VLLM"))
    log.close()
    for words in (["runs"], ["show", "Bad"], ["show", "Bad", "--json"], ["show", os.fsdecode(b"nope\xff")]):
        done = type_in(tmp_path, "chatdev", *words, PYTHONIOENCODING="utf-8:strict")
        assert "Traceback" not in done.stderr and done.returncode == (2 if "nope" in words[-1] else 0)
