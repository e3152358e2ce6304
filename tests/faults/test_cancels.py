"""Callers that leave: their places are free again, and their words are nobody else's."""

from tests.faults.cancels import crosstalk, storm
from tests.faults.stage import Stage


def test_after_a_storm_of_cancels_every_call_works(sqlite_stage: Stage) -> None:
    """However many callers leave, an upstream with ten places has ten for the next."""
    row = storm(sqlite_stage, cancels=300)

    print(row)
    assert row.is_good, row


def test_no_word_is_seen_or_stored_with_another(sqlite_stage: Stage) -> None:
    """150 streams at once, given up on both sides: each client and each row has its own words."""
    row = crosstalk(sqlite_stage, streams=150)

    print(row)
    assert row.is_good, row
    assert row.seen > 30
