"""Who may read what a run writes beside its log, and what no output shows."""

from pathlib import Path

import pytest

from chatdev.cli import run_output, watch
from chatdev.cli.options import WatchOptions
from chatdev.errors import ChatDevError, UserError
from chatdev.redaction import Redactor
from chatdev.settings import Settings, load

KEY = "tok-decoy-4711"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_debug_log_is_private_even_if_an_earlier_version_wrote_it(tmp_path: Path) -> None:
    old = tmp_path / "old.log"
    old.write_text("earlier\n")
    old.chmod(0o644)
    for path in (old, tmp_path / "new.log"):
        log = run_output.DebugLog(path, run_output.Text(quiet=True), Redactor([KEY]).text)
        log(f"> with {KEY}")
        log.close()
        assert mode(path) == 0o600
        assert KEY not in path.read_text()
    assert old.read_text().startswith("earlier\n")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_notices_and_errors_show_no_secret(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = run_output.Text(quiet=False) if kind == "text" else run_output.Json()
    output.redact = Redactor([KEY]).text
    output.notice(f"a note with {KEY}")
    output.error(ChatDevError(f"an error with {KEY}", tried=[f"with {KEY}"]))
    output.debug(f"> {KEY}")
    shown = "".join(capsys.readouterr())
    assert "a note with ***" in shown and "an error with ***" in shown
    assert KEY not in shown


async def test_a_collector_with_a_login_is_refused_without_showing_it(tmp_path: Path) -> None:
    options = WatchOptions(False, False, None, "http://me:hunter2@collector:4318", False, "")
    with pytest.raises(UserError, match="--otel-endpoint contains a user name or a password") as error:
        async with watch.watchers(options, Settings(), run_output.Text(quiet=True)):
            pass
    assert "hunter2" not in str(error.value)
    found = load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hunter2@collector:4318"}, tmp_path)
    assert found.otlp_traces is None
    assert "hunter2" not in found.notes[0]
