"""Which pills were taken too early."""

import json
import re
import sys


def minutes(text):
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", text)
    return 60 * int(found[1]) + int(found[2]) if found else None


def check(times, gap):
    if any(minutes(text) is None for text in times):
        return {"error": "a time is written HH:MM"}
    kept, early = [], []
    for text in sorted(times):
        after = minutes(text) - minutes(kept[-1]) if kept else gap
        if after >= gap:
            kept.append(text)
        else:
            early.append(f"{text} by {gap - after}")
    return {"kept": kept, "early": early}


given = json.load(sys.stdin)["input"]
print(json.dumps(check(given["times"], given["gap"])))
