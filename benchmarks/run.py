"""`python -m benchmarks.run`: everything measured once, a table printed, and written if asked.

    --rounds N              how often each comparison is repeated (5); medians are printed
    --database postgresql   record into a PostgreSQL server of its own instead of SQLite
    --quick                 a smoke run of one round; its figures mean nothing
    --write                 put the table into docs/performance.md

Two cores: load and upstream (and PostgreSQL) on the first, the contestant on the last. It installs
nothing, and leaves nothing behind but that table.
"""

import argparse
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import load, measures, table
from benchmarks.contestants import Contestant, Nginx, Ours, Start, find_nginx
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import cores, pinned
from benchmarks.table import Figure
from tests.databases import PostgresServer, postgres_programs

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"

MISSING = 2
FAILED = 1

NewDatabase = Callable[[str], str]


def main() -> int:
    """Measure and print; the exit code."""
    options = _options()
    missing = _missing(options.database)
    if missing:
        print(f"benchmarks: not installed: {', '.join(missing)}", file=sys.stderr)
        return MISSING
    plan = QUICK if options.quick else replace(FULL, rounds=options.rounds)
    _raise_file_limit()
    load_core, _ = cores()
    try:
        with pinned(load_core), _databases(options.database) as (folder, new_database):
            figures = list(_measure(plan, folder, new_database))
    except load.BenchmarkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return FAILED
    settings = _settings(plan, options.database)
    print(f"\n{settings}\n\n{table.plain(figures)}")
    if options.quick:
        print("This was a quick run with a small load: its figures mean nothing.")
    if options.write:
        table.write(DOCUMENT, f"{settings}\n\n{table.markdown(figures)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the proxy.")
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("the figures of --quick are not for --write")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def _missing(database: str) -> list[str]:
    """What has to be installed first."""
    missing = []
    if find_nginx() is None:
        missing.append("nginx (Debian: nginx)")
    if shutil.which("gcc") is None:
        missing.append("gcc (Debian: gcc libc6-dev)")
    if database == "postgresql" and postgres_programs() is None:
        missing.append("PostgreSQL's programs (Debian: postgresql)")
    return missing


def _measure(plan: Plan, folder: Path, new_database: NewDatabase) -> Iterator[Figure]:
    """All figures, in the order of the table."""
    _, core = cores()
    load.build(folder)
    with ExitStack() as stack:
        upstream = stack.enter_context(load.mock_upstream(folder, events=plan.stream_events))
        client = load.LoadClient(folder, upstream, calls_per_session=plan.calls_per_session)
        starts = _starts(upstream.port, core=core, new_database=new_database)
        contestants: dict[str, Contestant] = {}
        for name, start in starts.items():
            contestants[name] = start(folder)
            stack.callback(contestants[name].stop)
        field = measures.Field(
            plan, client, contestants["nginx"], contestants["ours"], upstream.port
        )
        measures.warm_up(field)
        for measure in (
            measures.json_calls,
            measures.streams,
            measures.latency,
            measures.many_streams,
        ):
            yield from _told(measure(field))
        yield from _told(measures.fresh_starts(plan, client, starts, folder))
    yield from _told(measures.help_time(plan, core=core))
    yield from _told(measures.recording(plan, folder=folder, core=core, new_database=new_database))


def _told(figures: Iterator[Figure]) -> Iterator[Figure]:
    """The same figures, each shown as soon as it is there; a whole run takes a while."""
    for figure in figures:
        print("  ".join(figure.cells()[:6]), file=sys.stderr, flush=True)
        yield figure


def _starts(upstream: int, *, core: int, new_database: NewDatabase) -> dict[str, Start]:
    """How to start each contestant, any number of times, each with files of its own."""

    def start_nginx(folder: Path) -> Contestant:
        home = Path(tempfile.mkdtemp(prefix="nginx-", dir=folder))
        return Nginx(home / "run", upstream=upstream, core=core)

    def start_ours(folder: Path) -> Contestant:
        home = Path(tempfile.mkdtemp(prefix="ours_", dir=folder))
        database = new_database(home.name)
        return Ours(home / "run", upstream=upstream, database=database, core=core)

    return {"nginx": start_nginx, "ours": start_ours}


@contextmanager
def _databases(kind: str) -> Iterator[tuple[Path, NewDatabase]]:
    """A folder for the run, and a way to make empty databases."""
    with tempfile.TemporaryDirectory(prefix="officeai-bench-") as name:
        folder = Path(name)
        programs = postgres_programs()
        if kind == "sqlite" or programs is None:
            yield folder, lambda database: f"sqlite:///{folder / database}.db"
            return
        server = PostgresServer(programs)
        try:
            server.start()
            yield folder, server.create
        finally:
            server.remove()


def _raise_file_limit() -> None:
    """A thousand streams are two thousand sockets, more than many a shell allows at first."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _settings(plan: Plan, database: str) -> str:
    """On what, with what and how it was measured, as a paragraph."""
    load_core, core = cores()
    nginx = subprocess.run([find_nginx() or "nginx", "-v"], capture_output=True, text=True)
    version = nginx.stderr.strip().rpartition("/")[2]
    sharing = "" if load_core != core else " (only one core: both share it)"
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_processor()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, nginx {version}, recording into {database}. "
        f"Contestant on core {core}, load and upstream on core {load_core}{sharing}. "
        f"Durability `process`, one worker, keys checked, log level `info`. "
        f"Rounds: {plan.rounds} of {plan.seconds:g} s; {plan.connections} connections; "
        f"{plan.streams} streams with {plan.gap_ms} ms and {plan.many_streams} streams with "
        f"{plan.many_gap_ms} ms between events, {plan.stream_events + 4} events a stream; "
        f"{plan.calls_per_session} calls a session; {plan.journaled:,} journaled exchanges."
    )


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    return f"{model[1] if model else platform.machine()}, {count} cores"


if __name__ == "__main__":
    sys.exit(main())
