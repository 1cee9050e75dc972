"""What a tide gauge tells."""

import json
import sys


def log(heights):
    if len(heights) < 2:
        return {"error": "at least two heights are needed"}
    pairs = list(zip(heights, heights[1:]))
    moves = ["up" if b > a else "down" if b < a else "slack" for a, b in pairs]
    ways = [move for move in moves if move != "slack"]
    turns = sum(a != b for a, b in zip(ways, ways[1:]))
    return {"moves": moves, "turns": turns, "range": max(heights) - min(heights)}


print(json.dumps(log(json.load(sys.stdin)["input"]["heights"])))
