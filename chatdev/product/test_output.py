"""Reads what test runners print into results: TAP, Rust's libtest, and Go's test2json."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

from chatdev.language_table import Reads


class ReportedTest(msgspec.Struct, frozen=True):
    """One test as its runner reported it."""

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    why: str = ""


class ReportedTests(msgspec.Struct, frozen=True):
    """All tests in order, and why the report as a whole cannot be trusted (empty if it can)."""

    tests: tuple[ReportedTest, ...] = ()
    trouble: str = ""


_POINT = re.compile(r"(?P<indent> *)(?P<not>not )?ok\b *(?P<number>\d+)?(?: *- *| +)?(?P<name>.*)")
_PLAN = re.compile(r"(?P<indent> *)1\.\.(?P<count>\d+)\b")
_DIRECTIVE = re.compile(r"(?<!\\)#\s*(?P<word>skip|todo)\S*\s*(?P<reason>.*)", re.I)
_INDENT = 4  # of a subtest, in spaces


class _Tap:
    """Results and plans by depth; those of a depth belong to the next result of the depth above."""

    def __init__(self) -> None:
        self.results: dict[int, list[ReportedTest]] = {}
        self.points: dict[int, int] = {}
        self.plans: dict[int, list[int]] = {}
        self.trouble = ""

    def point(self, depth: int, name: str, failed: bool) -> None:
        self.points[depth] = self.points.get(depth, 0) + 1
        directive = _DIRECTIVE.search(name)
        name = (name[: directive.start()] if directive else name).strip().replace("\\#", "#") or (
            f"test {self.points[depth]}"
        )
        inner = self.results.pop(depth + 1, [])
        self.check(depth + 1)
        own = self.results.setdefault(depth, [])
        own += [msgspec.structs.replace(one, name=f"{name} > {one.name}") for one in inner]
        if directive and (failed or directive["word"].casefold() == "skip"):
            own.append(ReportedTest(name, "skipped", directive["reason"] or directive["word"].casefold()))
        elif not inner or (failed and all(one.outcome != "failed" for one in inner)):
            own.append(ReportedTest(name, "failed" if failed else "passed"))

    def explain(self, depth: int, text: str) -> None:
        own = self.results.get(depth)
        if own and own[-1].outcome == "failed":
            own[-1] = msgspec.structs.replace(own[-1], why=f"{own[-1].why}\n{text}".strip())

    def check(self, depth: int) -> None:
        points, plans = self.points.pop(depth, 0), self.plans.pop(depth, [])
        if (points or plans or depth == 0) and plans != [points]:
            announced = " and ".join(f"1..{count}" for count in plans) or "no plan 1..N"
            self.trouble = self.trouble or f"the tests announced {announced} and told of {points}"


def tap(text: str) -> ReportedTests:
    """TAP of any version, subtests included. The plan is required and must match the number of tests."""
    heard, depth = _Tap(), 0
    for line in text.splitlines():
        if line.startswith("Bail out!"):
            heard.trouble = heard.trouble or line
        elif plan := _PLAN.match(line):
            heard.plans.setdefault(len(plan["indent"]) // _INDENT, []).append(int(plan["count"]))
        elif (point := _POINT.fullmatch(line)) and len(point["indent"]) % _INDENT == 0:
            depth = len(point["indent"]) // _INDENT
            heard.point(depth, point["name"], bool(point["not"]))
        elif line.strip() not in ("---", "...") and not line.lstrip().startswith(("# Subtest", "duration_ms:")):
            heard.explain(depth, line.strip().removeprefix("# "))
    heard.check(0)
    left = any(results for at, results in heard.results.items() if at > 0)
    return ReportedTests(
        tuple(heard.results.get(0, [])), heard.trouble or ("a subtest's test never came" if left else "")
    )


_LIBTEST = re.compile(r"^test (?P<name>\S+)(?: - should panic)? \.\.\. .*?(?P<how>ok|FAILED|ignored)\b", re.M)
_LIBTEST_HOW: Mapping[str, Literal["passed", "failed", "skipped"]] = {
    "ok": "passed", "FAILED": "failed", "ignored": "skipped",
}  # fmt: skip
_LIBTEST_WHY = re.compile(r"^---- (?P<name>\S+) stdout ----\n(?P<why>.*?)(?=^---- |^failures:|\Z)", re.M | re.S)


def libtest(text: str) -> ReportedTests:
    """What a program built by ``rustc --test`` prints."""
    whys = {found["name"]: found["why"].strip() for found in _LIBTEST_WHY.finditer(text)}
    tests = tuple(
        ReportedTest(found["name"], _LIBTEST_HOW[found["how"]], whys.get(found["name"], ""))
        for found in _LIBTEST.finditer(text)
    )
    counts = [int(count) for count in re.findall(r"^running (\d+) tests?$", text, re.M)]
    if counts == [len(tests)]:
        return ReportedTests(tests)
    return ReportedTests(
        tests, f"the tests announced {' and '.join(map(str, counts)) or 'no number'} and told of {len(tests)}"
    )


def go(text: str) -> ReportedTests:
    """What ``go test -json`` prints: one event per line, see ``go doc test2json``."""
    outcomes: dict[str, Literal["passed", "failed", "skipped"]] = {}
    running: dict[str, list[str]] = {}
    for event in _events(text):
        test, action = str(event.get("Test", "")), event.get("Action")
        if not test:
            continue
        output = running.setdefault(test, [])
        if action == "output":
            output.append(str(event.get("Output", "")))
        elif action in ("pass", "fail", "skip"):
            outcomes[test] = "passed" if action == "pass" else "failed" if action == "fail" else "skipped"
    tests = tuple(
        ReportedTest(name, outcome, "" if outcome == "passed" else "".join(running[name]).strip())
        for name, outcome in outcomes.items()
    )
    unfinished = [name for name in running if name not in outcomes]
    return ReportedTests(tests, f"{unfinished[0]} did not end" if unfinished else "")


def _events(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


READERS: Mapping[Reads, Callable[[str], ReportedTests]] = {"tap": tap, "libtest": libtest, "go": go}
