"""What was used in the last minute: never too little is counted, and not for long too much."""

from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.auth.limits.minute import CELLS, MICROSECONDS, SECONDS, Minute, SharedMinute

NOW = 1_700_000_000


def a_minute() -> Minute:
    return Minute(memoryview(bytearray(8 * CELLS)).cast("q"))


def test_a_cell_never_falls_below_nothing():
    """Giving back more than there is leaves nothing, and no debt that would admit too much."""
    minute = a_minute()
    minute.add(NOW, 5)
    minute.add(NOW, -8)

    assert minute.total() == 0


def test_a_use_counts_for_sixty_whole_seconds_and_then_no_more():
    """A use still counts 60 s after its second began, and is forgotten a second later."""
    minute = a_minute()
    minute.add(NOW, 3)

    minute.forget(NOW, NOW + SECONDS)
    assert minute.total() == 3
    minute.forget(NOW + SECONDS, NOW + SECONDS + 1)
    assert minute.total() == 0


def test_after_a_long_pause_nothing_is_left():
    """A pause of any length empties each cell once."""
    minute = a_minute()
    for second in range(NOW, NOW + CELLS):
        minute.add(second, 1)

    minute.forget(NOW + SECONDS, NOW + 10**6)

    assert minute.total() == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=30))
def test_the_ring_is_the_sum_of_the_last_seconds(steps: list[tuple[int, int]]):
    """Whatever comes when, the total is what was used in this second and the 60 before it."""
    minute, second, uses = a_minute(), NOW, []
    for pause, amount in steps:
        minute.forget(second, second + pause)
        second += pause
        minute.add(second, amount)
        uses.append((second, amount))

    assert minute.total() == sum(n for at, n in uses if second - at <= SECONDS)


def test_the_wait_is_until_enough_is_forgotten():
    """The wait ends when the oldest uses that are needed stop to count: 60 s after the last one
    of their second, which of other hosts may have been at its end.
    """
    moments = a_minute()
    minute = SharedMinute(a_minute(), a_minute(), moments)
    minute.here.add(NOW - 30, 2)
    moments.add(NOW - 30, MICROSECONDS // 4)
    minute.elsewhere.add(NOW - 10, 3)

    assert minute.wait(NOW + 0.5, 1) == 30
    assert minute.wait(NOW + 0.125, 1) == 31
    assert minute.wait(NOW + 0.5, 3) == 51
    assert minute.wait(NOW + 0.5, 99) == SECONDS
    assert minute.reset(NOW + 0.5) == 50.5


def test_an_empty_minute_is_full_at_once():
    """Nothing used, nothing to wait for."""
    assert SharedMinute(a_minute(), a_minute(), a_minute()).reset(NOW) == 0
