"""Why readers get no answer, for the log."""

import pytest

from officeai_proxy.api.outages import OutageLog
from officeai_proxy.errors import DatabaseOnlyReads, DatabaseUnavailable, NotFound, ProxyError

AWAY = DatabaseUnavailable(said="connection refused")
LOCKED = DatabaseOnlyReads(said="cannot execute INSERT")


@pytest.mark.parametrize(
    ("after", "error", "is_told"),
    [
        (0, NotFound(), False),
        (100, DatabaseUnavailable(), False),
        (59, AWAY, False),
        (60, AWAY, True),
        (4, LOCKED, False),
        (5, LOCKED, True),
    ],
)
def test_the_log_is_not_filled(
    caplog: pytest.LogCaptureFixture, after: float, error: ProxyError, is_told: bool
) -> None:
    """The same words stand there once a minute, others sooner, and nothing that has none."""
    now = 1000.0
    outages = OutageLog(lambda: now)
    outages.note(AWAY)
    caplog.clear()

    now += after
    outages.note(error)

    assert [str(error) in record.getMessage() for record in caplog.records] == [True] * is_told
