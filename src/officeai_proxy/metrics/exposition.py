"""Readings in, the text that Prometheus scrapes out; pure.

Prometheus text format 0.0.4 (prometheus.io, "Exposition formats") and OpenMetrics 1.0, which names
counters without `_total` and ends in `# EOF`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from officeai_proxy.metrics.board import NANO_DOLLARS, ModelCounts, Reading
from officeai_proxy.metrics.catalogue import BOUNDS, COUNTED, Family, Kind, bucket_labels

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value that is measured when it is asked for."""

    name: str
    about: str
    value: float
    labels: str = ""


def exposed(reading: Reading, gauges: Iterable[Gauge], *, is_open_metrics: bool) -> str:
    """Everything as text."""
    lines: list[str] = []
    for family in COUNTED:
        lines += _head(family, is_open_metrics=is_open_metrics)
        lines += _samples(family, reading.samples)
    for family, samples in _models(reading.models):
        lines += _head(family, is_open_metrics=is_open_metrics)
        lines += samples
    for gauge in gauges:
        lines += _head(Family(gauge.name, Kind.GAUGE, gauge.about), is_open_metrics=is_open_metrics)
        lines.append(f"{gauge.name}{gauge.labels} {_number(gauge.value)}")
    if is_open_metrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """*text* as the value of a label; what nobody can see in it is a question mark."""
    seen = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return seen.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _head(family: Family, *, is_open_metrics: bool) -> list[str]:
    is_counter = family.kind is Kind.COUNTER
    name = f"{family.name}_total" if is_counter and not is_open_metrics else family.name
    return [f"# HELP {name} {family.about}", f"# TYPE {name} {family.kind.value}"]


def _samples(family: Family, counts: Mapping[str, int]) -> Iterator[str]:
    if family.kind is Kind.HISTOGRAM:
        yield from _histogram(family, counts)
        return
    for sample in family.samples:
        yield f"{sample} {counts.get(sample, 0)}"


def _histogram(family: Family, counts: Mapping[str, int]) -> Iterator[str]:
    so_far = 0
    for bound in BOUNDS:
        sample = f"{family.name}_bucket{bucket_labels(bound)}"
        so_far += counts.get(sample, 0)
        yield f"{sample} {so_far}"
    total = counts.get(f"{family.name}_sum", 0) / family.scale
    yield f"{family.name}_sum {_number(total)}"
    yield f"{family.name}_count {so_far}"


def _models(models: Mapping[str, ModelCounts]) -> Iterator[tuple[Family, list[str]]]:
    tokens = Family("officeai_tokens", Kind.COUNTER, "Tokens as upstreams counted them, by model.")
    cost = Family(
        "officeai_cost_dollars",
        Kind.COUNTER,
        "What calls cost in US dollars where that is known, by model.",
    )
    unpriced = Family(
        "officeai_unpriced_calls",
        Kind.COUNTER,
        "Calls that used tokens and whose cost is not known, by model.",
    )
    counted: list[str] = []
    paid: list[str] = []
    unpaid: list[str] = []
    for name in sorted(models):
        counts, label = models[name], escaped(name)
        for kind, count in (
            ("prompt", counts.prompt_tokens),
            ("completion", counts.completion_tokens),
        ):
            counted.append(f'{tokens.name}_total{{model="{label}",kind="{kind}"}} {count}')
        dollars = _number(counts.cost_nano / NANO_DOLLARS)
        paid.append(f'{cost.name}_total{{model="{label}"}} {dollars}')
        unpaid.append(f'{unpriced.name}_total{{model="{label}"}} {counts.unpriced_calls}')
    yield tokens, counted
    yield cost, paid
    yield unpriced, unpaid


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
