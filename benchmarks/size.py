"""`scripts/bench size`: what it costs to record into an empty database, and into a large one.

    --messages N            how many messages the large one has (1,000,000)
    --database postgresql   a PostgreSQL server of its own instead of SQLite
    --rounds N              how often each is repeated (5)

The large one is filled row by row, with calls and search index, past the recorder. Then the same
journal goes into both, in turn; an empty database is a new one in each round. No server runs
meanwhile. Files are in a temporary folder, for which TMPDIR names another place.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import filling, recorder, table
from benchmarks.databases import Site, databases
from benchmarks.load import BenchmarkFailed
from benchmarks.measures import interleaved
from benchmarks.processes import Cores, pinned
from benchmarks.recorder import Bench, Work
from benchmarks.table import Figure
from tests.databases import postgres_programs

from officeai_proxy.storage.database import Database, Dialect

MISSING = 2
FAILED = 1

STORED_BYTES = {Dialect.SQLITE: 1200, Dialect.POSTGRESQL: 3000}
"""About what a message takes on the disk, with its call, its share of the indexes and the WAL."""

TURNS = 10

# A new database compiles its statements when they are used first.
_WARM_SESSIONS = 20


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench size", description="Measure by size.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=200, help="of ten turns, in a round")
    options = parser.parse_args()
    if min(options.messages, options.rounds, options.sessions) < 1:
        parser.error("--messages, --rounds and --sessions must be 1 or more")
    if options.database == "postgresql" and postgres_programs() is None:
        print("benchmarks: PostgreSQL's programs are not installed", file=sys.stderr)
        return MISSING
    cores = Cores.allowed()
    try:
        with pinned(cores.load), databases(options.database) as (folder, new_database):
            figures = by_size(
                Sizes(options.messages, options.sessions, options.rounds),
                Site(folder, cores, new_database),
                told=_progress(options.messages),
            )
            print(table.plain(figures))
    except BenchmarkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return FAILED
    return 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Messages in the large database, sessions of TURNS turns recorded in a round, and rounds."""

    messages: int
    sessions: int
    rounds: int


def by_size(
    sizes: Sizes, site: Site, *, told: Callable[[int], None] = lambda _: None
) -> Iterator[Figure]:
    """CPU to record an exchange into an empty database and into one of many messages.

    Raises:
        BenchmarkFailed: there is no room for it.
    """
    large = site.new_database("large")
    _check_room(sizes.messages * STORED_BYTES[Database(large).dialect], site.folder)
    rounds = count()
    emptied = count()
    with pinned(site.cores.contestant):
        asyncio.run(_fill(large, sizes.messages, told))
        with Bench(site.journal, large) as full:

            def into_empty() -> Work:
                with Bench(site.journal, site.new_database(f"empty_{next(emptied)}")) as empty:
                    empty.drain(recorder.turns(range(_WARM_SESSIONS), 1, TURNS))
                    return _recorded(empty, sizes.sessions, after=_WARM_SESSIONS)

            def into_full() -> Work:
                return _recorded(
                    full, sizes.sessions, after=_WARM_SESSIONS + next(rounds) * sizes.sessions
                )

            full.drain(recorder.turns(range(_WARM_SESSIONS), 1, TURNS))
            lanes = {"empty": into_empty, "full": into_full}
            found = interleaved(lanes, sizes.rounds)
    yield from _figures(found["empty"], found["full"])


def _recorded(bench: Bench, sessions: int, *, after: int) -> Work:
    """Record some sessions that are new, numbered from *after* on."""
    return bench.drain(recorder.turns(range(after, after + sessions), 1, TURNS))


def _figures(empty: list[Work], full: list[Work]) -> Iterator[Figure]:
    pairs = zip(full, empty, strict=True)
    yield Figure(table.EMPTY, [work.cpu_us for work in empty])
    yield Figure(table.FILLED, [work.cpu_us for work in full])
    yield Figure(table.FILLED_EMPTY, [large.cpu_us / small.cpu_us for large, small in pairs])


async def _fill(url: str, messages: int, told: Callable[[int], None]) -> None:
    database = recorder.open_database(url)
    try:
        await filling.fill(database, messages, told=told)
    finally:
        await database.close()


def _check_room(wanted: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise BenchmarkFailed(
            f"so many messages need about {wanted / 1e9:,.1f} GB, and {folder} has "
            f"{free / 1e9:,.1f}; TMPDIR names another place"
        )


def _progress(wanted: int) -> Callable[[int], None]:
    """Tell at every twentieth part, with the rate so far."""
    began = time.monotonic()
    next_told = 0

    def told(done: int) -> None:
        nonlocal next_told
        if done < next_told and done < wanted:
            return
        next_told = done + wanted // 20
        rate = done / (time.monotonic() - began)
        print(
            f"{done:,} of {wanted:,} messages, {rate:,.0f} a second, "
            f"{max(0, wanted - done) / rate:,.0f} s to go",
            file=sys.stderr,
            flush=True,
        )

    return told


if __name__ == "__main__":
    sys.exit(main())
