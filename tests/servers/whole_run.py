"""A whole run of the command line, as a person types it, against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from chatdev.journal import events, store

ROOT = Path(__file__).parent.parent.parent


class Ran(msgspec.Struct, frozen=True):
    """What came of it: exit status, all that was printed, the report, and the log's events."""

    status: int
    said: str
    report: str
    log: tuple[events.Any, ...]

    @property
    def answers(self) -> list[events.ModelAnswered]:
        return [event for event in self.log if isinstance(event, events.ModelAnswered)]


def run(folder: Path, url: str, *, task: str, name: str, key: str = "", config: str = "full") -> Ran:
    """``run.py --model VLLM`` in ``folder``, on the endpoint ``url``; it knows no other endpoint and no other key."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "OPENAI_"))}
    ran = subprocess.run(
        [sys.executable, ROOT / "run.py", "--task", task, "--name", name, "--model", "VLLM", "--config", config],
        cwd=folder,
        env=environment | {"VLLM_ENDPOINT": url} | ({"VLLM_API_KEY": key} if key else {}),
        capture_output=True,
        text=True,
        timeout=600,
    )
    output = ran.stdout + ran.stderr
    assert "Traceback" not in output, output
    (made,) = (folder / "WareHouse").iterdir()
    log = tuple(record.event for record in store.read(made / ".chatdev" / "events.jsonl"))
    report = (made / "REPORT.md").read_text(encoding="utf-8")
    for text in (output, report):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)  # bytes at random move no cursor, ring no bell
    return Ran(ran.returncode, output, report, log)


def assert_failed_readably(ran: Ran) -> None:
    """What holds for a run on a model that knows nothing."""
    assert ran.status == 1, ran.said
    (last,) = [event for event in ran.log if isinstance(event, events.RunFinished)]
    assert last.verdict.startswith(("not run", "failed"))
    assert ran.report.startswith("# Not tested") or last.verdict in ran.report
    assert f"Verdict: {last.verdict}" in ran.said
