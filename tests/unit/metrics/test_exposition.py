"""The text that Prometheus reads, checked by a parser of the format."""

import re
from pathlib import Path

import pytest
from tests.factories import an_exchange

from officeai_proxy.errors import InvalidJson, InvalidKey, RequestRefused, TooManyExports
from officeai_proxy.exports import ExportSlots
from officeai_proxy.metrics.board import ModelCounts, Reading
from officeai_proxy.metrics.catalogue import COUNTED, SAMPLES
from officeai_proxy.metrics.exposition import Gauge, exposed
from officeai_proxy.metrics.worker import Metrics
from officeai_proxy.model import Outcome
from officeai_proxy.recording.turns import read_turn

# prometheus.io, "Exposition formats": names, labels with three escapes, a value.
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9.]+(?:e[-+]?[0-9]+)?)")
_HEAD = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.+)")


def lint(text: str) -> dict[str, float]:
    """All samples of *text*; fails on what Prometheus would not take."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line == "# EOF":
            continue
        head = _HEAD.fullmatch(line)
        if head:
            if head[1] == "TYPE":
                assert head[2] not in kinds, f"{head[2]} is told twice"
                kinds[head[2]] = head[3]
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, f"not a sample: {line}"
        family = next((f for f in (sample[1], *_shorter(sample[1])) if f in kinds), None)
        assert family, f"{line} has no TYPE before it"
        assert family == list(kinds)[-1], f"{line} is outside its family"
        named = f"{sample[1]}{{{sample[2] or ''}}}"
        assert named not in samples, f"{named} is told twice"
        samples[named] = float(sample[3])
    return samples


def _shorter(name: str) -> list[str]:
    ends = ("_bucket", "_sum", "_count", "_total")
    return [name.removesuffix(end) for end in ends if name.endswith(end)]


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path / "metrics")


def shown(metrics: Metrics) -> dict[str, float]:
    return lint(exposed(metrics.boards.total(), [], is_open_metrics=False))


@pytest.mark.parametrize("is_open_metrics", [True, False])
def test_any_name_of_a_model_is_a_label(is_open_metrics: bool) -> None:
    """Quotes, backslashes and line breaks in a model's name cannot forge a line."""
    evil = 'm"} 1\nofficeai_calls_total 9\n\\'
    reading = Reading({}, {evil: ModelCounts(1, 2, 3), "模型": ModelCounts(4, 5, 6, 7)})

    text = exposed(reading, [Gauge("up_x", "Up.", 0.5)], is_open_metrics=is_open_metrics)
    samples = lint(text)

    assert "\nofficeai_calls_total 9" not in text
    assert samples['officeai_tokens_total{model="模型",kind="prompt"}'] == 4
    assert samples['officeai_cost_dollars_total{model="模型"}'] == 6e-9
    assert samples['officeai_unpriced_calls_total{model="模型"}'] == 7
    assert text.endswith("# EOF\n") == is_open_metrics


def test_what_is_not_counted_is_zero() -> None:
    """Every sample is there from the beginning, so that the first failure is a change."""
    text = exposed(Reading(), [], is_open_metrics=False)

    samples = lint(text)
    assert set(samples.values()) == {0}
    assert len(samples) == len(SAMPLES) + 2


def test_labels_are_bounded() -> None:
    """There are as many samples as the table says, whatever is called."""
    assert len(SAMPLES) < 150
    assert all("user" not in sample and "session" not in sample for sample in SAMPLES)
    assert len({family.name for family in COUNTED}) == len(COUNTED)


def test_a_call_is_counted_in_all_places(metrics: Metrics) -> None:
    """Status, outcome, times and bytes of one call; times are cumulative buckets."""
    counter = metrics.counter
    counter.began()
    assert shown(metrics)["officeai_calls_in_flight{}"] == 1
    exchange = an_exchange(duration_ns=700_000_000, first_byte_ns=50_000_000)
    counter.ended(exchange, sent=10, received=20)
    counter.over()
    samples = shown(metrics)

    assert samples['officeai_calls_total{status="2xx",outcome="complete"}'] == 1
    buckets = [
        v for name, v in samples.items() if name.startswith("officeai_call_duration_seconds_b")
    ]
    assert buckets == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert samples['officeai_ttft_seconds_bucket{le="0.05"}'] == 1
    assert samples["officeai_call_duration_seconds_sum{}"] == 0.7
    assert samples["officeai_call_duration_seconds_count{}"] == 1
    assert samples["officeai_request_bytes_total{}"] == 10
    assert samples["officeai_reply_bytes_total{}"] == 20
    assert samples["officeai_calls_in_flight{}"] == 0


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("status", [None, 101, 200, 302, 404, 503, 999])
def test_every_end_of_a_call_has_a_place(
    metrics: Metrics, outcome: Outcome, status: int | None
) -> None:
    """No status and no outcome is left out; its word is the one that the call log has."""
    ended = an_exchange(outcome=outcome, status=status, first_byte_ns=None)
    metrics.counter.ended(ended, sent=0, received=0)

    calls = {n: v for n, v in shown(metrics).items() if n.startswith("officeai_calls_total")}
    assert sum(calls.values()) == 1
    [counted] = [name for name, value in calls.items() if value]
    assert f'outcome="{read_turn(ended).call.outcome.value}"' in counted


def test_refusals_are_told_apart(metrics: Metrics) -> None:
    """A wrong key, a reached limit and a bad body are three counters."""

    class Limited(RequestRefused):
        """Too much."""

        status = 429
        code = "rate_limit_exceeded"

    class Odd(RequestRefused):
        """A status that no counter has."""

        status = 418

    for error in (InvalidKey(), Limited(), InvalidJson(), Odd()):
        metrics.counter.refused(error)
    samples = shown(metrics)

    assert samples["officeai_auth_failures_total{}"] == 1
    assert samples["officeai_limit_refusals_total{}"] == 1
    refused = {n: v for n, v in samples.items() if n.startswith("officeai_calls_refused") and v}
    assert {re.findall(r'"(\w+)"', name)[0] for name in refused} == {"400", "401", "429", "other"}


def test_exports_are_counted_while_they_run(metrics: Metrics) -> None:
    """An export that runs is a gauge, and one that is refused or over is none."""
    slots = metrics.counted(ExportSlots(1))

    with slots.one():
        assert shown(metrics)["officeai_exports_running{}"] == 1
        with pytest.raises(TooManyExports), slots.one():
            pass
        assert shown(metrics)["officeai_exports_running{}"] == 1
    assert shown(metrics)["officeai_exports_running{}"] == 0
