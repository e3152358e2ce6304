"""`python -m benchmarks.run`: everything measured once, a table printed, and written if asked.

    --rounds N              how often each comparison is repeated (5); medians are printed
    --database postgresql   record into a PostgreSQL server of its own instead of SQLite
    --quick                 a smoke run of one round; its figures mean nothing
    --write                 put the table into docs/performance.md
    --with litellm          compare with this gateway too (or portkey; may be repeated)
    --peers-dir DIR         where those gateways are installed and stay; else they go with the run

Two cores: load and upstream (and PostgreSQL) on the first, the contestant on the last. It installs
nothing but those gateways, and leaves nothing behind but that table.
"""

import argparse
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import gateways, length, load, measures, peers, size, table, workers
from benchmarks.contestants import Contestant, Nginx, Ours, Start, find_nginx
from benchmarks.databases import Site, databases
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import Cores, pinned
from benchmarks.table import Figure
from tests.databases import postgres_programs

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"

MISSING = 2
FAILED = 1


def main() -> int:
    """Measure and print; the exit code."""
    options = _options()
    missing = _missing(options.database)
    if missing:
        print(f"benchmarks: not installed: {', '.join(missing)}", file=sys.stderr)
        return MISSING
    plan = QUICK if options.quick else replace(FULL, rounds=options.rounds)
    _raise_file_limit()
    cores = Cores.allowed()
    try:
        with pinned(cores.load), databases(options.database) as (folder, new_database):
            beside = gateways.install_all(options.beside, options.peers_dir or folder / "peers")
            figures = list(_measure(plan, Site(folder, cores, new_database), beside=beside))
            settings = _settings(plan, options.database, cores, beside=beside)
    except load.BenchmarkFailed as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return FAILED
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
    parser.add_argument(
        "--with",
        action="append",
        choices=gateways.PEERS,
        default=[],
        dest="beside",
        help="a gateway",
    )
    parser.add_argument("--peers-dir", type=Path, help="where gateways are installed")
    options = parser.parse_args()
    if options.peers_dir is not None:
        options.peers_dir = options.peers_dir.resolve()
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


def _measure(plan: Plan, site: Site, *, beside: Sequence[gateways.Installed]) -> Iterator[Figure]:
    """All figures, in the order of the table."""
    load.build(site.folder)
    with ExitStack() as stack:
        upstream = stack.enter_context(load.mock_upstream(site.folder, events=plan.stream_events))
        client = load.LoadClient(site.folder, upstream, calls_per_session=plan.calls_per_session)
        starts = _starts(upstream.port, site)
        contestants: dict[str, Contestant] = {}
        for name, start in starts.items():
            contestants[name] = start(site.folder)
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
        yield from _told(peers.json_calls(field, beside, site))
        yield from _told(_scaling(field, site, one=starts["ours"]))
        yield from _told(measures.fresh_starts(plan, client, starts, site.folder))
    yield from _told(measures.help_time(plan, core=site.cores.contestant))
    yield from _told(measures.recording(plan, site))
    yield from _told(length.by_length(plan, site))
    sizes = size.Sizes(plan.stored_messages, plan.size_sessions, plan.rounds)
    yield from _told(size.by_size(sizes, site))


def _told(figures: Iterator[Figure]) -> Iterator[Figure]:
    """The same figures, each shown as soon as it is there; a whole run takes a while."""
    for figure in figures:
        print("  ".join(figure.cells()[:6]), file=sys.stderr, flush=True)
        yield figure


def _starts(upstream: int, site: Site) -> dict[str, Start]:
    """How to start each contestant, any number of times, each with files of its own."""
    core = site.cores.contestant

    def start_nginx(folder: Path) -> Contestant:
        home = Path(tempfile.mkdtemp(prefix="nginx-", dir=folder))
        return Nginx(home / "run", upstream=upstream, core=core)

    def start_ours(folder: Path) -> Contestant:
        home = Path(tempfile.mkdtemp(prefix="ours_", dir=folder))
        database = site.new_database(home.name)
        return Ours(home / "run", upstream=upstream, database=database, cores=[core])

    return {"nginx": start_nginx, "ours": start_ours}


def _scaling(field: measures.Field, site: Site, *, one: Start) -> Iterator[Figure]:
    """Two workers beside the one that *one* starts."""

    def two(folder: Path) -> Contestant:
        return Ours(
            folder / "workers",
            upstream=field.upstream,
            database=site.new_database("workers"),
            cores=site.cores.workers,
            workers=workers.WORKERS,
        )

    return workers.scaling(field, site, one=one, two=two)


def _raise_file_limit() -> None:
    """A thousand streams are two thousand sockets, more than many a shell allows at first."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _settings(
    plan: Plan, database: str, cores: Cores, *, beside: Sequence[gateways.Installed]
) -> str:
    """On what, with what and how it was measured, as a paragraph."""
    nginx = subprocess.run([find_nginx() or "nginx", "-v"], capture_output=True, text=True)
    version = nginx.stderr.strip().rpartition("/")[2]
    sharing = " (only one core: both share it)" if cores.is_shared else ""
    others = f" Beside them: {', '.join(one.name for one in beside)}." if beside else ""
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {_processor()}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, nginx {version}, recording into {database}. "
        f"Contestant on core {cores.contestant}, load and upstream on core {cores.load}{sharing}. "
        "Durability `process`, keys checked, log level `info`, one worker where not two are named. "
        f"Rounds: {plan.rounds} of {plan.seconds:g} s; {plan.connections} connections; "
        f"{plan.streams} streams with {plan.gap_ms} ms and {plan.many_streams} streams with "
        f"{plan.many_gap_ms} ms between events, {plan.stream_events + 4} events a stream; "
        f"{plan.calls_per_session} calls a session; {plan.journaled:,} journaled exchanges; "
        f"{plan.stored_messages:,} messages in the database with many.{others}"
    )


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    return f"{model[1] if model else platform.machine()}, {count} cores"


if __name__ == "__main__":
    sys.exit(main())
