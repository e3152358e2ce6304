"""The shape of the soak in small: what grows in a second is found, what grows in an hour is not."""

from tests.faults.report import Row
from tests.faults.soak import _judge_memory, soak
from tests.faults.stage import Stage

MEGABYTE = 2**20


def test_a_program_that_grows_is_found() -> None:
    """Two megabytes an hour are too much, half a megabyte is not."""
    rows = []
    for growth in (2.0, 0.5):
        row = Row("soak", "sqlite")
        minutes = range(120)
        samples = [(60.0 * m, int(MEGABYTE * (80 + growth * m / 60))) for m in minutes]
        _judge_memory(row, samples)
        rows.append(row)

    assert [row.is_good for row in rows] == [False, True]


def test_a_thousand_calls_leave_nothing_behind(sqlite_stage: Stage) -> None:
    """Tasks and descriptors are what they were, and memory has hardly grown."""
    row = soak(sqlite_stage, calls=1000, seconds=120)

    print(row)
    assert row.is_good, row
    assert row.seen > 500
