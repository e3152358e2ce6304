"""SIGTERM under load: exit code 0 in time, and nothing of what clients saw is missing.

Each quiet state is in `tests/journey/test_shutdown.py`, and the database that is away in
`test_outage.py`; the long form goes through all of them, again and again.
"""

from tests.faults.ends import ends
from tests.faults.stage import Stage


def test_sigterm_under_load_loses_nothing(sqlite_stage: Stage) -> None:
    """The program ends among calls, twice, and the next start has all of them."""
    row = ends(sqlite_stage, states=["busy", "half a request"])

    print(row)
    assert row.is_good, row
    assert row.seen > 20
