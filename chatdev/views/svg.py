"""Writes SVG: the few elements that our charts and pictures consist of. Every text is cleaned and escaped here."""

import html
from collections.abc import Iterable

from chatdev.views.text import clean

Value = str | int | float


def element(name: str, *content: str, **attributes: Value) -> str:
    """An element with the elements in ``content``.

    Attributes are written in their order: an integer as it is, a float with one decimal place, an empty text not at
    all. In their names, an underscore stands for a hyphen, and one at the end is dropped (``class_``).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items() if value != ""
    )
    return f"<{name}{written}>{''.join(content)}</{name}>" if content else f"<{name}{written}/>"


def escaped(text: str) -> str:
    """A text as the content of an element: no markup, no character that XML forbids."""
    return html.escape(clean(text))


def text(x: Value, y: Value, content: str, kind: str = "", *, anchor: str = "", **more: Value) -> str:
    """A line of text of the class ``kind``; ``anchor`` says which part of it is at ``x``: its start, middle or end."""
    return element("text", escaped(content), class_=kind, x=x, y=y, text_anchor=anchor, **more)


def rect(x: Value, y: Value, width: Value, height: Value, kind: str = "", **more: Value) -> str:
    """A rectangle by its top left corner."""
    return element("rect", class_=kind, x=x, y=y, width=width, height=height, **more)


def line(x1: Value, y1: Value, x2: Value, y2: Value, kind: str = "", **more: Value) -> str:
    """A straight line."""
    return element("line", class_=kind, x1=x1, x2=x2, y1=y1, y2=y2, **more)


def circle(x: Value, y: Value, radius: Value, *content: str, kind: str = "", **more: Value) -> str:
    """A circle by its centre."""
    return element("circle", *content, class_=kind, cx=x, cy=y, r=radius, **more)


def polyline(points: Iterable[tuple[float, float]], **more: Value) -> str:
    """Straight lines through ``points``, not filled."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), fill="none", **more)


def document(
    width: int,
    height: int,
    parts: Iterable[str],
    *,
    title: str = "",
    style: str = "",
    fixed: bool = True,
    **attributes: Value,
) -> str:
    """A whole picture in user units (pixels), with ``parts`` on a background of the class ``paper``.

    ``title`` is its name for a screen reader, ``style`` its style sheet. Unless ``fixed``, the page decides how large
    it is shown.
    """
    size: dict[str, Value] = {"width": width, "height": height} if fixed else {}
    content = [
        *([element("title", escaped(title))] if title else []),
        *([element("style", style)] if style else []),
        element("rect", class_="paper", width=width, height=height),
        *parts,
    ]
    view: dict[str, Value] = {"viewBox": f"0 0 {width} {height}", **size, "role": "img"}
    lines = "".join(f"\n{each}" for each in content)
    return element("svg", f"{lines}\n", xmlns="http://www.w3.org/2000/svg", **view, **attributes) + "\n"


def _value(value: Value) -> str:
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))


BASE_STYLE = """\
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; } .title { font-size: 15px; font-weight: 600; }
.paper { fill: #fff; } .faint { fill: #59636e; } .grid { stroke: #d1d9e0; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .paper { fill: #0d1117; } .faint { fill: #9198a1; } .grid { stroke: #3d444d; }
}
"""
"""Text, background and axes in light or dark colours, as the reader prefers."""
