"""Every metric that workers count, as a table: its name, its labels, and the slot of each sample.

Labels are few and fixed: no user, no session, no key. Models have slots of their own, see
`metrics.board`. Names follow Prometheus' conventions (prometheus.io, "Metric and label naming").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from officeai_proxy.model import NANOSECONDS, Outcome


class Kind(StrEnum):
    """What a metric is, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all of its samples; a sample is counted in units of 1/`scale`."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ("",)
    scale: int = 1

    def sample(self, labels: str = "") -> str:
        """The sample with *labels*, as the text format names it."""
        suffix = "_total" if self.kind is Kind.COUNTER else ""
        return f"{self.name}{suffix}{labels}"

    def slot(self, labels: str = "") -> int:
        """Where the sample with *labels* stands on a board."""
        return SLOTS[self.sample(labels)]

    @property
    def samples(self) -> tuple[str, ...]:
        """All samples that are counted; of a histogram the buckets each for itself, and the sum."""
        if self.kind is Kind.HISTOGRAM:
            buckets = tuple(bucket_labels(bound) for bound in BOUNDS)
            return (*(f"{self.name}_bucket{one}" for one in buckets), f"{self.name}_sum")
        return tuple(self.sample(labels) for labels in self.labels)


BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, float("inf"))
"""Upper ends of the buckets, in seconds."""

STATUSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Classes of statuses; `none` when the caller was told nothing."""

REFUSALS = (400, 401, 403, 404, 405, 413, 422, 429, 500, 503, 504)


def bucket_labels(bound: float) -> str:
    """The label of the bucket up to *bound* seconds."""
    return '{le="+Inf"}' if bound == BOUNDS[-1] else f'{{le="{bound}"}}'


def call_labels(status: str, outcome: str) -> str:
    """The labels of calls that ended like this."""
    return f'{{status="{status}",outcome="{outcome}"}}'


def refusal_labels(status: int | str) -> str:
    """The labels of calls that were refused with *status*."""
    return f'{{status="{status}"}}'


def _counter(name: str, about: str, labels: tuple[str, ...] = ("",)) -> Family:
    return Family(name, Kind.COUNTER, about, labels)


def _gauge(name: str, about: str) -> Family:
    return Family(name, Kind.GAUGE, about)


def _seconds(name: str, about: str) -> Family:
    return Family(name, Kind.HISTOGRAM, about, scale=NANOSECONDS)


CALLS = _counter(
    "officeai_calls",
    "Calls that were forwarded, by class of status and by outcome.",
    tuple(call_labels(status, outcome.value) for status, outcome in product(STATUSES, Outcome)),
)
REFUSED = _counter(
    "officeai_calls_refused",
    "Calls that were refused and never reached the upstream, by status.",
    tuple(refusal_labels(status) for status in (*REFUSALS, "other")),
)
WRONG_KEYS = _counter("officeai_auth_failures", "Requests whose key opens nothing, on all routes.")
LIMITED = _counter("officeai_limit_refusals", "Calls refused because a key's limit was reached.")
DURATION = _seconds(
    "officeai_call_duration_seconds", "From a call's request to the end of its reply."
)
TTFT = _seconds("officeai_ttft_seconds", "From a call's request to the first byte of its reply.")
REQUEST_BYTES = _counter(
    "officeai_request_bytes", "Bytes of request bodies whose length was stated."
)
REPLY_BYTES = _counter("officeai_reply_bytes", "Bytes of reply bodies.")
STORED = _counter("officeai_calls_stored", "Calls that reached the database.")
DROPPED = _counter("officeai_recorder_dropped", "Calls that could not be kept and are lost.")
INTERRUPTED = _counter(
    "officeai_recorder_interrupted",
    "Calls that were cut off when a worker died, kept as far as they had come.",
)
WITHHELD = _counter(
    "officeai_recorder_withheld",
    "Calls that were not stored, because what they belong to was erased after they began.",
)
SET_ASIDE = _counter(
    "officeai_recorder_poison", "Calls that the database can never store, and that were set aside."
)
STORE_FAILURES = _counter(
    "officeai_recorder_store_failures",
    "Batches that the database did not take and that were tried again.",
)
APPEND_ERRORS = _counter("officeai_journal_append_errors", "Writes to the journal that failed.")
SYNC_ERRORS = _counter("officeai_journal_sync_errors", "Syncs of the journal that failed.")
PIECE_ERRORS = _counter(
    "officeai_journal_piece_errors", "Part-way records of long calls that could not be written."
)
BACKLOG_BYTES = _gauge(
    "officeai_journal_backlog_bytes", "Calls in memory that the journal could not take yet."
)
IN_FLIGHT = _gauge("officeai_calls_in_flight", "Calls on their way now.")
EXPORTS = _gauge("officeai_exports_running", "Exports that are being sent now.")

COUNTED = (
    CALLS,
    REFUSED,
    WRONG_KEYS,
    LIMITED,
    DURATION,
    TTFT,
    REQUEST_BYTES,
    REPLY_BYTES,
    STORED,
    DROPPED,
    INTERRUPTED,
    WITHHELD,
    SET_ASIDE,
    STORE_FAILURES,
    APPEND_ERRORS,
    SYNC_ERRORS,
    PIECE_ERRORS,
    BACKLOG_BYTES,
    IN_FLIGHT,
    EXPORTS,
)
"""All of the above: what each worker counts, in the order in which it is told."""

SAMPLES = tuple(sample for family in COUNTED for sample in family.samples)

SLOTS: Mapping[str, int] = MappingProxyType({sample: n for n, sample in enumerate(SAMPLES)})
"""Where each sample stands on a board."""

GAUGES = frozenset(
    sample for family in COUNTED if family.kind is Kind.GAUGE for sample in family.samples
)
"""Samples that end with the worker that has them."""
