"""A line that may be a fence, and whether a fence is open after a line: by CommonMark alone."""

import re

FENCE = re.compile(r"(\s*(?:(?:[-*+]|\d{1,3}[.)])\s+)?)(`{3,}|~{3,})(.*)", re.S)


def toggled(inside: str, line: str) -> str:
    """The fence that is open after this line; ``inside`` is the one that was open before it, empty if none."""
    if "```" not in line and "~~~" not in line:
        return inside
    fence = FENCE.match(line)
    if fence is None:
        return inside
    if not inside:
        return fence[2]
    return "" if fence[2].startswith(inside) and not fence[3].strip() else inside
