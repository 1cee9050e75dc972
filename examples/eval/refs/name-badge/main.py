"""The text of a name badge."""

import json
import sys


def badge(name, width):
    words = name.upper().split()
    if not words:
        return {"error": "the name is empty"}
    text = " ".join(words)
    if len(text) > width:
        text = " ".join([*(f"{word[0]}." for word in words[:-1]), words[-1]])
    text = text[:width]
    left = (width - len(text)) // 2
    return "*" * left + text + "*" * (width - len(text) - left)


given = json.load(sys.stdin)["input"]
print(json.dumps(badge(given["name"], given["width"])))
