"""The free stretches of a shelf."""

import json
import sys


def gaps(places, taken):
    if any(not 1 <= each <= places for each in taken):
        return {"error": "there is no such place"}
    found = []
    for place in range(1, places + 1):
        if place in taken:
            continue
        if found and found[-1][1] == place - 1:
            found[-1][1] = place
        else:
            found.append([place, place])
    return found


given = json.load(sys.stdin)["input"]
print(json.dumps(gaps(given["places"], set(given["taken"]))))
