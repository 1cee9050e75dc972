"""Draws what the terminal showed of a run as an SVG, from its log: ``python docs/picture.py RUN > docs/run.svg``."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from chatdev.journal.events import RunStarted
from chatdev.journal.store import read
from chatdev.views import lines

WIDTH = 108


def main() -> None:
    """Print the picture of the run that the command line names."""
    records = read(Path(sys.argv[1]) / ".chatdev" / "events.jsonl")
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor")
    for record in records:
        if isinstance(record.event, RunStarted):
            order = record.event
            console.print(Text(f'$ python3 run.py --task "{order.task}" --name {order.name} --model {order.model}'))
        for line in lines.of(record.event):
            console.print(Text(line.text, style=line.style), no_wrap=True, overflow="ellipsis")
    picture = console.export_svg(title="ChatDev")
    print(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.S))  # fonts of the reader's machine will do


if __name__ == "__main__":
    main()
