"""The example: a company with a phase of its own, made without Python."""

from pathlib import Path

from helpers.support import ANSWERS, MAIN, WORDS, recording, run

from chatdev.company import config
from chatdev.journal.events import MessageStored, ModelAnswered

EXAMPLE = Path(__file__).parents[2] / "examples" / "secure-company"
REVIEW = "Security.{}/SecurityReview.1/SecurityEngineer.1/ask.1"
CLOSE = "Security.1/SecurityModification.1/Programmer.1/ask.1"


def test_no_python_was_written_for_it() -> None:
    assert {path.suffix for path in EXAMPLE.rglob("*") if path.is_file()} == {".toml", ".md"}
    assert "Security Engineer" in config.load(EXAMPLE).roster


async def test_what_the_security_review_finds_is_closed_by_the_programmer(tmp_path: Path) -> None:
    unsafe = MAIN.replace("print(greeting())", "import os\n\nos.system(f'echo {greeting()}')")
    security = {REVIEW.format(1): "main.py gives text to a shell.", CLOSE: MAIN, REVIEW.format(2): "<INFO> Finished"}
    coding = {"Coding.1/Programmer.1/ask.1": f"{WORDS}\n{unsafe}"}
    manual = {"together.1/Manual.1/ChiefProductOfficer.1/ask.1": ANSWERS["Manual.1/ChiefProductOfficer.1/ask.1"]}
    ran = await run(tmp_path, recording(ANSWERS | coding | security | manual), config=str(EXAMPLE))
    assert ran.verdict.verdict == "passed"
    assert "os.system" not in (ran.folder / "main.py").read_text()
    prompts = {message.id: message.content for message in ran.events(MessageStored)}
    (call,) = [call for call in ran.events(ModelAnswered) if call.place == CLOSE]
    assert "main.py gives text to a shell." in prompts[call.messages[-1]]
