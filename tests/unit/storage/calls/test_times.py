"""Times in buckets and their percentiles, in plain Python."""

import math

from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.storage.calls.numbers import DOUBLINGS, STEPS, bucket_of, middle_of
from officeai_proxy.storage.calls.times import Times


@given(st.floats(0, 2.0**DOUBLINGS, exclude_max=True))
def test_a_bucket_is_near_its_time(ms: float) -> None:
    """The middle of a bucket is within 1/32 of every time in it, or 1/32 ms below one."""
    assert abs(middle_of(bucket_of(ms)) - ms) <= max(ms, 1) / (2 * STEPS)


@given(st.floats(0, 1e12), st.floats(0, 1e12))
def test_buckets_keep_the_order(one: float, other: float) -> None:
    """A longer time is in no earlier bucket, and there is a last one."""
    assert (bucket_of(one) <= bucket_of(other)) or one > other
    assert bucket_of(one) < STEPS * (DOUBLINGS + 1)


def test_edges_belong_to_the_bucket_that_they_begin() -> None:
    """A power of two begins a doubling, and the moment before it ends the one before."""
    for doubling in range(DOUBLINGS):
        assert bucket_of(2.0**doubling) == STEPS * (doubling + 1)
        assert bucket_of(math.nextafter(2.0**doubling, 0)) == STEPS * (doubling + 1) - 1


def test_percentiles_are_nearest_ranks() -> None:
    """Of one time all percentiles are that time; of a hundred the 95th is the 95th."""
    assert Times().percentile(50) is None
    assert Times({7: 1}).percentile(50) == Times({7: 1}).percentile(99) == round(middle_of(7), 4)
    hundred = Times({bucket: 1 for bucket in range(100)})
    assert [hundred.percentile(p) for p in (50, 95, 99, 100)] == [
        round(middle_of(bucket), 4) for bucket in (49, 94, 98, 99)
    ]


def test_empty_buckets_count_nothing() -> None:
    """A bucket that nobody is in any more is no answer."""
    assert Times({1: 0, 5: 2}).percentile(1) == round(middle_of(5), 4)
