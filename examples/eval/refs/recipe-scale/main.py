"""Scales the amounts of a recipe."""

import json
import re
import sys
from fractions import Fraction


def read(text):
    found = re.fullmatch(r"(?:(\d+) )?(\d+)/(\d+)|(\d+)", text)
    if not found or (found[3] and int(found[3]) == 0):
        raise ValueError(text)
    if found[4]:
        return Fraction(int(found[4]))
    return int(found[1] or 0) + Fraction(int(found[2]), int(found[3]))


def written(amount):
    whole, rest = divmod(amount.numerator, amount.denominator)
    part = f"{rest}/{amount.denominator}" if rest else ""
    return " ".join(filter(None, [str(whole) if whole or not part else "", part]))


def answer(given):
    try:
        factor = read(given["factor"])
        return [written(read(text) * factor) for text in given["amounts"]]
    except ValueError as error:
        return {"error": f"this is no amount: {error}"}


print(json.dumps(answer(json.load(sys.stdin)["input"])))
