"""Parts of questions as text: files, results of tests and starts, in the forms that answers must have."""

import re
from collections.abc import Mapping

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.language_table import fence_names, table
from chatdev.product.output import inert

_LANGUAGES = {"py": "python", "md": "markdown", "json": "json", "toml": "toml"} | fence_names(table())

_TICKS = re.compile(r"(?:^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s*(`+)")
"""Backticks at the beginning of a line, with lines as ``str.splitlines`` splits them."""

REPORTED = 3
"""How many failing tests are shown with their reason; the others by name. A programmer fixes one cause at a time."""


def fenced(text: str, language: str = "") -> str:
    """The text in a fenced block that nothing inside it can close."""
    longest = max(map(len, _TICKS.findall(text)), default=0) if "`" in text else 0
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def listing(files: Mapping[str, str]) -> str:
    """Files in the form in which we ask for them: the path on a line, then a fenced block."""
    return "\n\n".join(f"{path}\n{block(path, text)}" for path, text in files.items())


def block(path: str, text: str) -> str:
    """A file in a fenced block with the name of its language."""
    return fenced(text, _LANGUAGES.get(path.rpartition(".")[2], ""))


def report_text(ran: TestsRan) -> str:
    """A run of the tests as text for a programmer: the count, the first failures with reasons, the rest by name."""
    failing = [result for result in ran.results if result.outcome not in ("passed", "skipped")]
    passed = sum(result.outcome == "passed" for result in ran.results)
    lines = [f"{passed} of {len(ran.results)} tests pass."]
    if ran.trouble:
        lines.append(ran.trouble)
    lines += [f"\n{result.outcome}: {result.id}\n{result.why}".rstrip() for result in failing[:REPORTED]]
    lines += [f"{result.outcome}: {result.id}" for result in failing[REPORTED:]]
    return inert("\n".join(lines))


def started_text(started: ProductStarted, makes: str = "") -> str:
    """A start of the product as text for a programmer; ``makes`` is the kind of file that it should have left."""
    heading = {
        "missing": f"It was not started: {started.why}.",
        "crashed": f"It crashed: {started.why}",
        "alive": "It runs.",
        "exited": f"It ended by itself with exit status {started.exit_status}.",
    }[started.how]
    if makes and not started.made and started.how in ("alive", "exited"):
        heading += f" It left no {makes} as a file in the current directory."
    return inert(f"{heading}\n{started.output}".rstrip())


def reason_text(why: str) -> str:
    """Why something could not be run, for use in a sentence: unchanged, or fenced if longer than a line."""
    why = inert(why).strip()
    return f"\n\n{fenced(why, 'text')}\n\nThat is all that it said" if "\n" in why else why


FORM = "the whole file"
"""Replaces a file's content where its form is shown: words that cannot be mistaken for a program."""


def form(path: str) -> str:
    """The form in which an answer must give a file, shown with the path that is wanted."""
    return listing({path: FORM})
