"""What doctor prints for the faults that ``docs/troubleshooting.md`` tells of; run as a script, it fills them in."""

import asyncio
import re
import socket
import sys
from pathlib import Path

from chatdev.models import address as addresses
from chatdev.ops.doctor.examine import examine
from chatdev.ops.doctor.findings import Finding, lines
from chatdev.playback import demo, faults
from chatdev.playback.server import Playback
from chatdev.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
MARK = re.compile(r"<!-- doctor(?: model=(?P<model>\w+))?: ?(?P<manner>.*?) ?-->\n\n?(?P<shown>(?:    .*\n)*)\n?")
WIDTH = 116


async def diagnosed(manner: str, model: str) -> str:
    """The lines of the checks that are not good, with the usual address in place of the one that was tried."""
    if manner == "nothing":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        return _shown(await _findings(url, model), url)
    async with Playback(*demo.recordings(), manners=(faults.parse(manner),)) as url:
        return _shown(await _findings(url, model), url)


async def _findings(url: str, model: str) -> tuple[Finding, ...]:
    settings = Settings(vllm_endpoint=url)
    return (await examine(addresses.of_vllm(settings), model, settings)).findings


def _shown(findings: tuple[Finding, ...], url: str) -> str:
    """Measured times differ from run to run; prefix cache and calls in flight are shown nowhere, since they depend on
    them."""
    told = [each for each in findings if each.verdict in ("bad", "warning") and each.check not in _TIMED]
    text = "\n".join(line for finding in told for line in lines(_usual(finding, url), WIDTH))
    return "".join(f"    {line}\n" for line in text.splitlines())


_TIMED = ("prefix cache", "in flight", "latency")


def _usual(finding: Finding, url: str) -> Finding:
    seen = finding.seen.replace(url, "http://localhost:8000/v1")
    seen = re.sub(r" The port is held by .*?\)\.", "", seen)
    return Finding(finding.check, finding.verdict, seen, finding.do)


async def filled(page: str) -> str:
    """The page with every block as doctor prints it now."""
    for match in reversed(list(MARK.finditer(page))):
        shown = await diagnosed(match["manner"], match["model"] or "default")
        head = match[0][: match[0].index("-->") + 3]
        page = f"{page[: match.start()]}{head}\n\n{shown}\n{page[match.end() :]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(filled(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
    sys.exit(0)
