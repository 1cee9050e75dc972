"""Finds a rota."""

import json
import sys


def plan(shifts, most):
    people = sorted({name for shift in shifts for name in shift})
    layers = [{("", (0,) * len(people)): ()}]  # the last person and the counts, and the first rota that leads there
    for shift in shifts:
        layer = {}
        for (last, counts), rota in layers[-1].items():
            for name in set(shift):
                who = people.index(name)
                if name == last or counts[who] == most:
                    continue
                key = name, counts[:who] + (counts[who] + 1,) + counts[who + 1 :]
                longer = (*rota, name)
                if key not in layer or longer < layer[key]:
                    layer[key] = longer
        layers.append(layer)
    ends = [(max(counts, default=0) - min(counts, default=0), rota) for (_, counts), rota in layers[-1].items()]
    return list(min(ends)[1]) if ends else {"error": "no rota keeps the rules"}


given = json.load(sys.stdin)["input"]
print(json.dumps(plan(given["shifts"], given["most"])))
