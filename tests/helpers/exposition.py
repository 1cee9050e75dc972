"""A strict reader of Prometheus' text format (0.0.4), to check what others write."""

import re

import msgspec

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')


class Family(msgspec.Struct):
    """One metric: its kind, and its samples by name and labels."""

    kind: str
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of a name that have these labels, whatever others they have."""
        wanted = set(labels.items())
        found = [value for (sample, given), value in self.samples.items() if sample == name and wanted <= set(given)]
        assert found, f"no sample {name} {labels} among {list(self.samples)}"
        return sum(found)


def read(text: str) -> dict[str, Family]:
    """The families by name. Fails on whatever the format forbids, and on a histogram that does not add up."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    helped = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert helped not in families, f"{helped} comes twice"
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == helped
            assert kind in ("counter", "gauge", "histogram")
            assert kind != "counter" or name.endswith("_total")
            families[name] = Family(kind)
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            name = match[1]
            family = families[helped]
            allowed = (
                [helped + end for end in ("_bucket", "_sum", "_count")] if family.kind == "histogram" else [helped]
            )
            assert name in allowed, f"{name} under {helped}"
            key = name, tuple(_LABEL.findall(match[2] or ""))
            assert key not in family.samples, f"{key} comes twice"
            family.samples[key] = float(match[3])
    for name, family in families.items():
        if family.kind == "histogram":
            _adds_up(name, family)
    return families


def _adds_up(name: str, family: Family) -> None:
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for (sample, labels), value in family.samples.items():
        if sample == f"{name}_bucket":
            others = tuple(label for label in labels if label[0] != "le")
            series.setdefault(others, []).append((float(dict(labels)["le"]), value))
    for others, buckets in series.items():
        assert buckets == sorted(buckets), "buckets out of order, or falling"
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1] == (float("inf"), family.samples[f"{name}_count", others])
