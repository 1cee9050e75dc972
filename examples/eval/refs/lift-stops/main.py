"""The stops of a lift."""

import json
import sys


def serve(floor, direction, calls):
    if direction not in ("up", "down"):
        return {"error": "the direction is up or down"}
    left, stops, travelled, turns = set(calls), [], 0, 0
    step = 1 if direction == "up" else -1
    if floor in left:
        left.remove(floor)
        stops.append(floor)
    while left:
        ahead = sorted((each for each in left if (each - floor) * step > 0), key=lambda each: abs(each - floor))
        for each in ahead:
            travelled += abs(each - floor)
            floor = each
            stops.append(each)
            left.remove(each)
        if left:
            step, turns = -step, turns + 1
    return {"stops": stops, "travelled": travelled, "turns": turns}


given = json.load(sys.stdin)["input"]
print(json.dumps(serve(given["floor"], given["direction"], given["calls"])))
