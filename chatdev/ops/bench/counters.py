"""A server's own count of prefix-cache hits, for those whose answers do not tell it."""

import re
from typing import NamedTuple

from chatdev.models.address import Address
from chatdev.models.errors import ModelError
from chatdev.models.transport import Transport

PATIENCE = 5.0
"""Seconds for a page of metrics."""

_LINE = re.compile(r"^vllm:prefix_cache_(hits|queries)_total(?:\{[^\n]*\})? ([0-9.eE+]+)$", re.MULTILINE)


class Counters(NamedTuple):
    """Tokens since the server began, of all who ask it: found in the prefix cache, and looked up there."""

    hits: float = 0.0
    queries: float = 0.0

    def share(self, before: "Counters") -> float | None:
        """Hits of all lookups since ``before``; None if nothing was looked up."""
        queries = self.queries - before.queries
        return (self.hits - before.hits) / queries if queries > 0 else None


async def read(address: Address) -> Counters | None:
    """vLLM's counters, which stand at ``/metrics`` beside the protocol; None where a server has none."""
    transport = Transport(address)
    try:
        status, body = await transport.get(f"{address.base_url.rpartition('/v')[0]}/metrics", PATIENCE)
    except ModelError:
        return None
    finally:
        await transport.aclose()
    found = _LINE.findall(body.decode("utf-8", "replace")) if status == 200 else []
    if not found:
        return None
    return Counters(**{kind: sum(float(number) for name, number in found if name == kind) for kind in Counters._fields})
