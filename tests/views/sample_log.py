"""Logs as runs leave them, for the tests of the views: every kind of event stands in ``finished()``."""

from collections.abc import Sequence

from helpers.events import model_answered

from chatdev.journal import events
from chatdev.journal.store import Record

CPO, CEO, PROGRAMMER, CTO = "Chief Product Officer", "Chief Executive Officer", "Programmer", "Chief Technology Officer"
LOCAL, PAID = "http://localhost:8000/v1", "https://api.openai.com/v1"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b1m | a`b``c [/red] <b>&lt; # *x* \u202egnp\ud800\r\x07" + "y" * 10_000


class Log:
    """Builds records; ``after`` is the number of seconds since the record before."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._now = 1_764_000_000.0

    def add(self, event: events.Any, after: float = 1.0) -> "Log":
        self._now += after
        self.records.append(Record(len(self.records) + 1, self._now, event))
        return self

    def ask(self, place: str, role: str, question: str, text: str, **more: object) -> "Log":
        """A question stored and its answer, at ``place``."""
        name = f"q{len(self.records)}"
        self.add(events.MessageStored(name, "user", question), after=0.0)
        return self.add(answer(place, role, text, messages=("system", name), **more))


def answer(place: str, role: str, text: str, **more: object) -> events.ModelAnswered:
    fields: dict[str, object] = {
        "role": role, "prompt_tokens": 100, "completion_tokens": 50, "endpoint": LOCAL, "model": "qwen-coder",
        "cost": 0.0, "first_token": 0.5, "seconds": 3.0,
    }  # fmt: skip
    return model_answered(place, text, **(fields | more))


def written(place: str, path: str, lines: int, added: int, removed: int = 0, diff: str = "") -> events.FileWritten:
    return events.FileWritten(place, path, "0" * 16, 20 * lines, lines, added, removed, diff)


def results(place: str, *outcomes: events.TestOutcome, trouble: str = "", why: str = "1 != 2") -> events.TestsRan:
    each = (
        events.TestResult(f"tests/test_calc.py::Calc::test_{number}", outcome, "" if outcome == "passed" else why)
        for number, outcome in enumerate(outcomes, 1)
    )
    return events.TestsRan(place, "d", tuple(each), trouble, "output of the tests", 0.4)


def begun() -> Log:
    """The head of a run: who asked for what, and the first attempt."""
    start = events.RunStarted(
        1, "0.1.0", "Calc", "Org", "20251125031807", "create a calculator", "default", "VLLM", (CEO, CPO, PROGRAMMER)
    )
    attempt = events.AttemptStarted(1, LOCAL, "qwen-coder", 32_768, "plain", ("OPENAI_API_KEY is a placeholder",))
    return Log().add(start).add(attempt)


def worked() -> Log:
    """A run just before its verdict: a talk, a reflection, tests, code in two versions, documents, a resume."""
    log = begun()
    log.add(events.MessageStored("system", "system", "You work for a software company."))
    log.add(events.PhaseBegan("DemandAnalysis.1", "DemandAnalysis", CPO, CEO))
    log.ask(f"DemandAnalysis.1/{CPO}.1/ask.1", CPO, "What kind of product is it?", "A console application.")
    log.ask(f"DemandAnalysis.1/{CEO}.1/ask.1", CEO, "What kind? A console application. Agreed?", "Sounds good.")
    log.ask("DemandAnalysis.1/Counselor.1/ask.1", "Counselor", "What did they decide?", "<INFO> application")
    log.add(events.PhaseEnded("DemandAnalysis.1", "DemandAnalysis", "application", reflected=True))
    log.add(results("TestWriting.1/baseline.1", "failed", "failed", "passed"))
    log.add(written("TestWriting.1/file.1", "tests/test_calc.py", 12, 12))
    log.add(events.PhaseBegan("Coding.1", "Coding", PROGRAMMER, CTO))
    log.ask("Coding.1/Programmer.1/ask.1", PROGRAMMER, "Write the program.", "no code", tries=2, adapted=("no system",))
    log.add(events.Diagnostic("Coding.1/note-asked-again.1", "asked again", "Coding: no file could be read"))
    log.add(events.AttemptStopped(1, "interrupted"))
    log.add(events.AttemptStarted(2, LOCAL, "qwen-coder", None, "plain"), after=3_600.0)
    code = "main.py\n```python\nprint(1)\n```"
    log.ask("Coding.1/Programmer.1/ask.2", PROGRAMMER, "Send whole files.", code, estimated=True, cached_tokens=64)
    log.add(events.FileRefused("Coding.1/refused.1", "../x.py", "it leaves the project"))
    log.add(written("Coding.1/file.1", "main.py", 30, 30, diff="--- /dev/null\n+++ main.py\n@@ -0,0 +1 @@\n+print(1)"))
    log.add(written("Coding.1/file.2", "data.json", 3, 3))
    log.add(events.PhaseEnded("Coding.1", "Coding", "main.py"))
    log.add(events.PhaseBegan("Test.2/TestModification.1", "TestModification", PROGRAMMER, "Software Test Engineer"))
    diff = "--- main.py\n+++ main.py\n@@ -1 +1 @@\n-    print(1)\n+    print(2)"
    log.add(written("Test.2/TestModification.1/file.1", "main.py", 31, 2, 1, diff))
    log.add(events.PhaseEnded("Test.2/TestModification.1", "TestModification", "main.py"))
    log.add(written("EnvironmentDoc.1/file.1", "requirements.txt", 2, 2))
    log.add(written("Manual.1/file.1", "manual.md", 25, 25))
    return log.add(events.ProductStarted("start.1", "d", "exited", 0, seconds=0.1))


def finished(verdict: str = "passed", *outcomes: events.TestOutcome, vacuous: Sequence[str] = ()) -> list[Record]:
    """A run with its verdict; three passed tests unless others are given."""
    log = worked().add(results("Verdict.1/tests.1", *(outcomes or ("passed", "passed", "passed"))))
    log.add(events.VerdictReached("Verdict.1", verdict, "Every test was run on the last version.", tuple(vacuous)))
    return log.add(events.RunFinished("Verdict.1", verdict, "application", "Python", "simple\nand small")).records


def hostile() -> list[Record]:
    """A run in which everything that can come from outside does its worst."""
    bad = HOSTILE
    log = Log().add(events.RunStarted(1, bad, "Calc", "Org", "20251125", bad, bad, bad, (bad,)))
    log.add(events.AttemptStarted(1, bad, bad, 1, bad, (bad,)))
    log.add(events.PhaseBegan("P.1", bad, bad, bad))
    log.ask("P.1/r.1/ask.1", bad, bad, bad, endpoint=bad, model=bad, finish_reason=bad, adapted=(bad,))
    log.add(events.PhaseEnded("P.1", bad, bad))
    log.add(written("P.1/file.1", bad, 1, 1, 0, f"--- a\n+++ b\n@@ -1 +1 @@\n+{bad}\n-{bad}"))
    log.add(events.FileRefused("P.1/refused.1", bad, bad))
    log.add(events.Diagnostic("P.1/note.1", "guessed", bad))
    result = events.TestResult(bad, "failed", bad, bad)
    log.add(events.TestsRan("tests.1", "d", (result,), bad, bad))
    log.add(events.ProductStarted("start.1", "d", "crashed", None, bad, bad, bad))
    log.add(events.AttemptStopped(1, bad))
    log.add(events.VerdictReached("Verdict.1", f"not run ({bad})", bad, (bad,)))
    return log.add(events.RunFinished("Verdict.1", f"not run ({bad})", bad, bad, bad)).records
