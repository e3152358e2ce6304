"""Disks that are full or broken for a while, of the journal, of the database, of both; under load.

The client notices nothing, what could not be kept is counted exactly, and when there is room again
everything goes on without a restart.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.failing_sync import failing_syncs
from tests.faults.missing import Missing
from tests.faults.report import Row
from tests.faults.small_disk import FileSizeLimit, FillableDisk, small_disk
from tests.faults.stage import Stage, under_load
from tests.proxies import RunningProxy

TINY_BACKLOG = "0.02"
"""Megabytes: a few calls, so that calls have to be dropped, and counted."""

MEGABYTES_A_SECOND = 2.0
"""Of what the clients say, in the journal and in the database: it has to fit when there is room."""


@dataclass(frozen=True)
class Place:
    """Where the data folder and the database are, and the disk that can be filled."""

    disk: FillableDisk
    data_dir: Path
    url: str


@contextmanager
def _place(stage: Stage, what: str, *, seconds: float) -> Iterator[Place]:
    """The journal, the database or both on a disk that can be filled, for so many seconds."""
    folder, url = stage.folder / f"disk-{what}", stage.url()
    try:
        with small_disk(folder, megabytes=8 + round(seconds * MEGABYTES_A_SECOND)) as disk:
            data = folder if what in ("journal", "both") else stage.folder / "data"
            name = folder if what in ("database", "both") else stage.folder
            yield Place(disk, data, f"sqlite:///{name / 'on-disk.db'}")
    except Missing:
        shutil.rmtree(folder, ignore_errors=True)
        # With the limit at zero no file grows. A journal's segments are young and small, and the
        # database's log is neither: a limit in between stops the database alone.
        limit = 64 * 1024 if what == "database" else 0
        yield Place(FileSizeLimit(limit), stage.folder / "data", url)


def full(stage: Stage, what: str, *, seconds: float, backlog: str = "64") -> Row:
    """*what* is `journal`, `database` or `both`; *backlog* is the memory for it, in megabytes."""
    name = {"journal": "journal's disk full", "database": "database's disk full"}
    fault = name.get(what, "both disks full") + (", no room in memory" * (backlog != "64"))
    told: list[tuple[str, int]] = []
    with _place(stage, what, seconds=seconds) as place:
        settings = {"DATA_DIR": str(place.data_dir), "MAX_JOURNAL_BACKLOG_MB": backlog}
        with stage.proxy(place.url, **settings) as proxy:

            def act() -> None:
                place.disk.fill(proxy)
                try:
                    time.sleep(seconds)
                    health = proxy.get("/health").json()
                    told.append((health["status"], health["recorder"]["pending"]))
                finally:
                    place.disk.free(proxy)

            row = under_load(proxy, place.url, fault, act, database="sqlite")
            _settle_dropped(row, proxy)
        ((status, pending),) = told
        row.notes.append(f"{status}, {pending} waiting, on {type(place.disk).__name__}")
        if what == "database":
            row.expect(pending > 0, "nothing waited, so nothing was full")
        elif what == "both":
            row.expect(status == "degraded", f"/health said {status}")
    return row


def sync_errors(stage: Stage, *, seconds: float, durability: str = "disk") -> Row:
    """The journal's syncs fail for a while.

    Raises:
        Missing: there is no strace here.
    """
    url, report = stage.url(), stage.folder / "strace.txt"
    with stage.proxy(url, DURABILITY=durability) as proxy:

        def act() -> None:
            with failing_syncs(proxy.process.pid, report):
                time.sleep(seconds)

        row = under_load(proxy, url, "EIO on sync", act, database=stage.database)
    failed = report.read_text().count("EIO")
    row.expect(failed > 0, "no sync failed")
    row.notes.append(f"{failed} syncs failed")
    return row


def _settle_dropped(row: Row, proxy: RunningProxy) -> None:
    """What was dropped is told exactly; what was told is not lost in silence."""
    dropped = proxy.get("/health").json()["recorder"]["dropped"]
    if dropped:
        row.notes.append(f"dropped {dropped} and lost {row.lost}")
        row.expect(dropped == row.lost, "the counter of what was dropped is not exact")
        row.lost = 0


FULL_DISKS: dict[str, Callable[[Stage, float], Row]] = {
    "journal": lambda stage, seconds: full(stage, "journal", seconds=seconds),
    "database": lambda stage, seconds: full(stage, "database", seconds=seconds),
    "both": lambda stage, seconds: full(stage, "both", seconds=seconds),
    "dropping": lambda stage, seconds: full(stage, "both", seconds=seconds, backlog=TINY_BACKLOG),
}
