"""Durations in OpenAI's form."""

import pytest

from officeai_proxy.auth.limits.standing import Standing, duration, standing_headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.006, "6ms"), (0.9996, "1s"), (59.9, "59.9s"), (60, "1m0s"), (90.25, "1m30.25s")],
)
def test_durations(seconds: float, text: str):
    """As OpenAI writes them: `6ms`, `0s`, `1m30s`."""
    assert duration(seconds) == text


def test_only_limits_that_are_set_are_told():
    """A key without a limit on tokens says nothing of tokens."""
    names = [name for name, _ in standing_headers(Standing(5, 4, 1.0), None, None)]

    assert [name.rpartition(b"-")[2] for name in names] == [b"requests"] * 3
    assert standing_headers(None, None, None) == []


def test_nobody_knows_when_running_calls_end():
    """The limit of calls at one time says how many more may run, and of no reset."""
    assert standing_headers(None, None, Standing(5, 4)) == [
        (b"x-ratelimit-limit-concurrency", b"5"),
        (b"x-ratelimit-remaining-concurrency", b"4"),
    ]
