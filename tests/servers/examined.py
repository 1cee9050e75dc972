"""``chatdev doctor`` at a real server: what it found, printed as its user sees it."""

from pathlib import Path

import msgspec

from chatdev.models import address as addresses
from chatdev.ops.doctor.examine import examine
from chatdev.ops.doctor.findings import Diagnosis, Finding, lines
from chatdev.settings import Settings


async def examined(title: str, settings: Settings, folder: Path) -> tuple[Diagnosis, dict[str, Finding]]:
    """The diagnosis, and its findings by check."""
    given = msgspec.structs.replace(settings, cache=folder)
    print(f"\n\n## {title}\n")
    tell = lambda finding: print("\n".join(f"    {line}" for line in lines(finding, 116)))  # noqa: E731
    diagnosis = await examine(addresses.of_vllm(given), given.vllm_model_name, given, tell)
    print(f"\n    {diagnosis.summary}\n")
    return diagnosis, {finding.check: finding for finding in diagnosis.findings}


def kept(checks: dict[str, Finding]) -> str:
    """The kinds of structured output that were kept, in words."""
    return checks["structured output"].seen.partition("ignored")[0]
