"""The fee of a car park."""

import json
import sys


def fee(minutes):
    days, rest = divmod(minutes, 1440)
    part = 0 if rest <= 30 else min(1200, 150 * -(-rest // 60))
    return 1200 * days + part


def answer(request):
    minutes = request["input"]["minutes"]
    return {"error": "a stay cannot be negative"} if minutes < 0 else fee(minutes)


print(json.dumps(answer(json.load(sys.stdin))))
