"""The long form of every fault, as a command: `scripts/chaos [fault …]`; prints one table.

Exit code 1 when anything was lost, doubled, garbled or orphaned, or a promise broken. Scale 1 is
the full length, some hours; 0.01 shows in minutes that everything runs.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.databases import PostgresServer, postgres_programs
from tests.faults import bad_upstreams, cancels, ends, full_disks, kills, outages, power, soak
from tests.faults.missing import Missing
from tests.faults.report import Row, table
from tests.faults.stage import Stage
from tests.upstream import ScriptedUpstream

DATABASES = ("sqlite", "postgresql")

# At scale 1.
ROUNDS_OF_KILLS = 200
CALLS_OF_KILLS = 100_000
SEEDS = 10_000
OUTAGE_SECONDS = 60.0
CANCELS = 10_000
STREAMS = 500
TIMES = 20
CALLS_OF_SOAK = 2_000_000
SOAK_SECONDS = 3600.0
ROUNDS_OF_ENDS = 20


@dataclass(frozen=True)
class Size:
    """How long the faults last."""

    scale: float

    def of(self, full: int, *, least: int) -> int:
        """*full*, scaled."""
        return max(least, round(full * self.scale))

    @property
    def seconds(self) -> float:
        """How long an outage lasts."""
        return max(0.5, OUTAGE_SECONDS * min(1.0, self.scale))


Fault = Callable[[Stage, Size], Iterator[Row]]


def kill(stage: Stage, size: Size) -> Iterator[Row]:
    """`kill -9`, of all and of one of two workers."""
    for workers in (1, 2):
        yield kills.kills(
            stage,
            workers=workers,
            rounds=size.of(ROUNDS_OF_KILLS, least=2),
            calls=size.of(CALLS_OF_KILLS, least=100),
        )


def power_loss(stage: Stage, size: Size) -> Iterator[Row]:
    """The power goes, on a simulated disk."""
    if stage.database == "sqlite":
        logging.disable(logging.CRITICAL)
        seeds = size.of(SEEDS, least=100)
        yield power.power_losses(seeds)
        row = power.power_losses(seeds, first=seeds, rules=power.Rules(failing_syncs=0.05))
        row.fault += ", failing syncs"
        yield row


def outage(stage: Stage, size: Size) -> Iterator[Row]:
    """The database fails in each of its ways."""
    if stage.database == "sqlite":
        yield outages.locked(stage, seconds=size.seconds)
        return
    url = stage.url()
    with stage.proxy(url) as proxy:
        for name in outages.OUTAGES:
            yield outages.outage(stage, proxy, url, name, seconds=size.seconds)


def failover(stage: Stage, size: Size) -> Iterator[Row]:
    """PostgreSQL's primary dies and its standby is promoted."""
    if stage.database == "postgresql":
        yield outages.failover(stage, seconds=min(size.seconds, 10.0))


def disk(stage: Stage, size: Size) -> Iterator[Row]:
    """Full disks, and syncs that fail."""
    if stage.database == "sqlite":
        for fault in full_disks.FULL_DISKS.values():
            with _folder_of_its_own(stage) as own:
                yield fault(own, size.seconds)
    with _folder_of_its_own(stage) as own:
        yield full_disks.sync_errors(own, seconds=size.seconds)


def upstream(stage: Stage, size: Size) -> Iterator[Row]:
    """The upstream misbehaves."""
    with stage.proxy(stage.url(), **bad_upstreams.PATIENCE) as proxy:
        for name in bad_upstreams.MISBEHAVIOURS:
            yield bad_upstreams.misbehave(stage, proxy, name, times=size.of(TIMES, least=1))


def cancel(stage: Stage, size: Size) -> Iterator[Row]:
    """Callers leave at any moment."""
    yield cancels.storm(stage, cancels=size.of(CANCELS, least=100))
    yield cancels.crosstalk(stage, streams=min(STREAMS, size.of(STREAMS, least=100)))


def soaking(stage: Stage, size: Size) -> Iterator[Row]:
    """Very many calls."""
    calls = size.of(CALLS_OF_SOAK, least=2000)
    yield soak.soak(stage, calls=calls, seconds=max(20.0, SOAK_SECONDS * size.scale))


def end(stage: Stage, size: Size) -> Iterator[Row]:
    """SIGTERM in every state."""
    rounds = size.of(ROUNDS_OF_ENDS, least=1)
    yield ends.ends(stage, states=list(ends.STATES), rounds=rounds)


FAULTS: dict[str, Fault] = {
    "power": power_loss,
    "kill": kill,
    "outage": outage,
    "failover": failover,
    "disk": disk,
    "upstream": upstream,
    "cancel": cancel,
    "end": end,
    "soak": soaking,
}


def run(names: Sequence[str], databases: Sequence[str], size: Size) -> list[Row]:
    """Make the faults *names* on each of *databases*, and tell each row when it is known."""
    rows: list[Row] = []
    for database in databases:
        for name in names:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="officeai-chaos-") as folder:
                for row in _rows(name, database, Path(folder), size):
                    rows.append(row)
                    took = time.monotonic() - began
                    print(f"{row.verdict}  {took:6.0f} s  {row}", flush=True)
    return rows


def _rows(name: str, database: str, folder: Path, size: Size) -> Iterator[Row]:
    """The rows of one fault; one that breaks down is a row too."""
    with ExitStack() as stack:
        row = Row(name, database)
        try:
            server = stack.enter_context(_server()) if database == "postgresql" else None
            running = stack.enter_context(ScriptedUpstream())
            yield from FAULTS[name](Stage(folder, running, database, server), size)
        except Missing as missing:
            row.skipped = str(missing)
            yield row
        except Exception as exc:  # noqa: BLE001 - the other faults have to be tried too
            row.problems.append(f"broke down: {type(exc).__name__}: {exc}"[:300])
            yield row


@contextmanager
def _server() -> Iterator[PostgresServer]:
    """A server of this fault's own, for it may be killed."""
    programs = postgres_programs()
    if programs is None:
        raise Missing("PostgreSQL's programs are not installed (Debian: apt install postgresql)")
    server = PostgresServer(programs)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def _folder_of_its_own(stage: Stage) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(dir=stage.folder) as folder:
        yield Stage(Path(folder), stage.upstream, stage.database, stage.server)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, make the faults, print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.split("\n")[0])
    parser.add_argument("fault", nargs="*", help=f"which; all of them: {', '.join(FAULTS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the full length")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both")
    given = parser.parse_args(arguments)
    unknown = set(given.fault) - FAULTS.keys()
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; see --help")
    databases = DATABASES if given.database == "both" else (given.database,)
    rows = run(given.fault or list(FAULTS), databases, Size(given.scale))
    print("\n" + table(rows))
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
