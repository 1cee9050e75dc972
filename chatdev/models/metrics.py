"""A model server's own counters (queue, KV cache, prefix cache), from the Prometheus text at its ``/metrics``.

The metric names are in ``dialects.toml``: from vLLM 0.32 and a llama.cpp server, and from the documentation of SGLang
(``--enable-metrics``) and TGI. They count all the traffic of the server, for all its clients.
"""

import contextlib
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from chatdev.models import dialects
from chatdev.models.errors import ModelError

if TYPE_CHECKING:
    from chatdev.models.transport import Transport

PATIENCE = 2.0
"""Timeout of the page in seconds: monitoring must not delay a run."""

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)", re.MULTILINE)
_OTHER_RANK = re.compile(r'\b(?:tp|pp|moe_ep)_rank="0*[1-9]')


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A server's own counters at one moment; None where it does not report them.

    ``running`` and ``waiting`` are requests now; ``kv_used`` is the used share of the KV cache, from 0 to 1 (the
    fullest, if a server has several). The others count since the server started: ``prefix_queries`` the prompt tokens
    that were looked up in the prefix cache, ``prefix_hits`` those found there, ``preemptions`` the requests preempted
    from the running batch because the KV cache was full.
    """

    engine: str
    running: int | None = None
    waiting: int | None = None
    kv_used: float | None = None
    prefix_queries: int | None = None
    prefix_hits: int | None = None
    preemptions: int | None = None

    def text(self) -> str:
        """The load in one line: ``3 running, 12 waiting, KV cache 84 % full``."""
        parts = [f"{self.running} running" if self.running is not None else ""]
        parts.append(f"{self.waiting} waiting" if self.waiting is not None else "")
        parts.append(f"KV cache {100 * self.kv_used:.0f} % full" if self.kv_used is not None else "")
        return ", ".join(part for part in parts if part)


def prefix_share(before: Load | None, after: Load | None) -> float | None:
    """The share of prompt tokens found in the prefix cache between two moments; None if it is not reported."""
    if before is None or after is None or before.prefix_hits is None or after.prefix_hits is None:
        return None
    looked_up = (after.prefix_queries or 0) - (before.prefix_queries or 0)
    return (after.prefix_hits - before.prefix_hits) / looked_up if looked_up > 0 else None


def parse(text: str) -> Load | None:
    """The load in a page of Prometheus text; None if it is not from a known engine.

    Several label sets of a name (models, engines) are added up; all ranks of one engine report the same, so only the
    first counts.
    """
    samples: dict[str, list[float]] = {}
    for name, labels, value in _SAMPLE.findall(text):
        if not _OTHER_RANK.search(labels):
            with contextlib.suppress(ValueError):
                samples.setdefault(name, []).append(float(value))
    for dialect in dialects.load().servers.values():
        found = {field: values for field, names in dialect.metrics.items() if (values := _newest(samples, names))}
        if found:
            fullest = max(found.pop("kv_used", [math.nan]))
            counts = {field: round(sum(values)) for field, values in found.items()}
            _add_hits(counts)
            return Load(engine=dialect.name.lower(), kv_used=None if math.isnan(fullest) else fullest, **counts)
    return None


def _add_hits(counts: dict[str, int]) -> None:
    """A server may count the prompt tokens that were not in its cache; its older versions may not count the others."""
    misses, hits = counts.pop("prefix_misses", None), counts.get("prefix_hits")
    if misses is not None and hits is not None:
        counts["prefix_queries"] = misses + hits


def _newest(samples: Mapping[str, list[float]], names: tuple[str, ...]) -> list[float]:
    """The finite values under the first of these names that occurs."""
    values = next((samples[name] for name in names if name in samples), [])
    return [value for value in values if math.isfinite(value)]


async def read(transport: "Transport") -> Load | None:
    """The load of the server behind a transport; None if it has no ``/metrics``, or answers too late."""
    try:
        status, body = await transport.get(f"{transport.address.root}/metrics", PATIENCE, shown=False)
    except ModelError:
        return None
    return parse(body.decode("utf-8", "replace")) if status == 200 else None
