"""Draws a table as text."""


def render(rows, align):
    """The table as one text."""
    if not rows or set(align) - set("lrc") or any(len(row) != len(align) for row in rows):
        raise ValueError("every row has a cell for each of l, r and c")
    parts = [[cell.split("\n") for cell in row] for row in rows]
    widths = [max(len(line) for row in parts for line in row[column]) for column in range(len(align))]
    drawn = []
    for number, row in enumerate(parts):
        for line in range(max(map(len, row), default=1)):
            cells = [cell[line] if line < len(cell) else "" for cell in row]
            drawn.append(" | ".join(_filled(*each) for each in zip(cells, widths, align)))
        if number == 0:
            drawn.append("-+-".join("-" * width for width in widths))
    return "\n".join(drawn)


def _filled(text, width, how):
    spare = width - len(text)
    left = {"l": 0, "r": spare, "c": spare // 2}[how]
    return " " * left + text + " " * (spare - left)
