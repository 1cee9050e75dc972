"""ChatDev 1.0's "Software Info": the 14 values by which its users compare runs."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from chatdev.journal import events, places
from chatdev.journal.store import Record
from chatdev.views import summary

_DOCUMENTS = frozenset({".md", ".txt", ".rst"})
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico"})
_DATA = frozenset({".json", ".csv", ".toml", ".ini", ".yaml", ".yml"})


class SoftwareInfo(msgspec.Struct, frozen=True):
    """The values, named and ordered as in 1.0. ``cost`` in US dollars (0 for local models, None if a price is
    unknown), ``duration`` in seconds; ``version_updates`` counts the batches of changed code.
    """

    cost: float | None
    version_updates: int
    num_code_files: int
    num_png_files: int
    num_doc_files: int
    code_lines: int
    env_lines: int
    manual_lines: int
    num_utterances: int
    num_self_reflections: int
    num_prompt_tokens: int
    num_completion_tokens: int
    num_total_tokens: int
    duration: float


def software_info(records: Sequence[Record], folded: summary.Summary | None = None) -> SoftwareInfo:
    """The statistics of a run, from the files that its log names. ``folded`` is the summary of these records, if the
    caller has it already.
    """
    run = folded or summary.fold(records)
    lines = {file.path: file.lines for file in run.files}
    code = [path for path in lines if _is_code(path)]
    suffixes = [_suffix(path) for path in lines if not path.startswith(".") and path != "requirements.txt"]
    written = [record.event for record in records if isinstance(record.event, events.FileWritten)]
    return SoftwareInfo(
        cost=run.work.cost,
        version_updates=len({places.ancestor(file.place) for file in written if _is_code(file.path)}),
        num_code_files=len(code),
        num_png_files=suffixes.count(".png"),
        num_doc_files=sum(suffix in _DOCUMENTS for suffix in suffixes),
        code_lines=sum(lines[path] for path in code),
        env_lines=lines.get("requirements.txt", 0),
        manual_lines=lines.get("manual.md", 0),
        num_utterances=run.utterances,
        num_self_reflections=run.reflections,
        num_prompt_tokens=run.work.prompt_tokens,
        num_completion_tokens=run.work.completion_tokens,
        num_total_tokens=run.work.tokens,
        duration=run.duration,
    )


def render(info: SoftwareInfo) -> str:
    """The text block: one ``**name**=value`` per line, the format that scripts written for 1.0 look for."""
    values = msgspec.structs.asdict(info)
    values["cost"] = "unknown" if info.cost is None else f"${info.cost:.6f}"
    values["duration"] = f"{info.duration:.2f}s"
    return "\n".join(["Software Info:", *(f"**{name}**={value}" for name, value in values.items())])


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _is_code(path: str) -> bool:
    return path != "requirements.txt" and _suffix(path) not in _DOCUMENTS | _IMAGES | _DATA
