"""Disks that are full, and disks that fail: calls go on, and the books are right."""

import os
import shutil

import pytest
from tests.faults.full_disks import FULL_DISKS, sync_errors
from tests.faults.missing import Missing
from tests.faults.stage import Stage

SECONDS = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "0.7"))

pytestmark = pytest.mark.timeout(300 + SECONDS)


@pytest.mark.parametrize("what", FULL_DISKS)
def test_a_full_disk_fails_no_call(sqlite_stage: Stage, what: str) -> None:
    """Calls are answered, what was dropped is counted exactly, and it recovers by itself."""
    row = FULL_DISKS[what](sqlite_stage, SECONDS)

    print(row)
    assert row.is_good, row
    assert row.seen > 20


def test_failing_syncs_fail_no_call(sqlite_stage: Stage) -> None:
    """Calls are answered and stored although no sync of the disk succeeds for a while."""
    try:
        row = sync_errors(sqlite_stage, seconds=SECONDS)
    except Missing as missing:
        if os.environ.get("CI") and shutil.which("strace") is None:
            pytest.fail(str(missing))
        pytest.skip(str(missing))

    print(row)
    assert row.is_good, row
    assert row.seen > 20
