"""``meta.txt``: the run's decisions, under the headings of ChatDev 1.0."""

from collections.abc import Sequence

from chatdev.journal.store import Record
from chatdev.views import statistics, summary
from chatdev.views.text import clean


def render(records: Sequence[Record], folded: summary.Summary | None = None) -> str:
    """The file's text: a heading with a colon, its value on the lines below, an empty line. Every image that the log
    names counts as proposed and as incorporated. ``folded`` is the summary of these records, if the caller has it.
    """
    run = folded or summary.fold(records)
    info = statistics.software_info(records, run)
    start, end = run.started, run.finished
    values = {
        "Task": start.task if start else "",
        "Config": f"company {start.company}, model {start.model}" if start else "",
        "Roster": ", ".join(start.roles) if start else "",
        "Modality": end.modality if end else "",
        "Ideas": end.ideas if end else "",
        "Language": end.language if end else "",
        "Code_Version": str(info.version_updates),
        "Proposed_images": str(info.num_png_files),
        "Incorporated_images": str(info.num_png_files),
    }
    return "\n".join(f"{heading}:\n{clean(value)}\n" for heading, value in values.items())
