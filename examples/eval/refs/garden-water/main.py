"""Water that spreads over a garden."""

import json
import sys


def spread(garden, minutes):
    if len({len(row) for row in garden}) > 1:
        return {"error": "the rows are not of the same length"}
    heights = {
        (y, x): 9 if square == "S" else int(square)
        for y, row in enumerate(garden)
        for x, square in enumerate(row)
        if square != "#"
    }
    springs = {(y, x) for y, x in heights if garden[y][x] == "S"}
    wet, edge = set(springs), springs
    for _ in range(minutes):
        edge = {
            each
            for y, x in edge
            for each in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            if each in heights and each not in wet and heights[each] <= heights[y, x]
        }
        if not edge:
            break
        wet |= edge
    drawn = [
        "".join("~" if (y, x) in wet - springs else square for x, square in enumerate(row))
        for y, row in enumerate(garden)
    ]
    return {"wet": len(wet), "map": drawn}


given = json.load(sys.stdin)["input"]
print(json.dumps(spread(given["garden"], given["minutes"])))
