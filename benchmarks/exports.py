"""`python -m benchmarks.exports`: every export format over HTTP, beside the database's own tool.

    --messages N            how many messages are stored (200,000)
    --per-conversation N    how many of them each conversation has (100); 0: one has all of them
    --database postgresql   a PostgreSQL server of its own instead of SQLite
    --formats csv,jsonl     only these
    --rounds N              how often each is repeated (3); medians are printed
    --memory                how much more memory the server takes, for 10,000, 50,000 and 100,000
                            messages, beside an exporter that builds its answer in memory

Everything runs on the same machine, one after the other; only the ratios mean anything.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.processes import resident_bytes
from sqlalchemy import insert
from tests.databases import PostgresServer, postgres_programs
from tests.proxies import KEY, RunningProxy

from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.tables import conversation_messages, conversations

MISSING = 2
OK = 200

BATCH = 5000
TEXT = "How do I export every conversation at once? 怎样导出所有会话记录？ " * 7
START = datetime(2026, 1, 1, tzinfo=UTC)

# What an earlier exporter in another program needed before and after it learned to stream.
EARLIER = {10_000: "150 → 30 MB", 50_000: "overflow → 50 MB", 100_000: "–"}

# As many short messages and then as many long ones as an export may take for a page's worth.
UNEVEN = 32_000
LONG = "And why is that so? 这是为什么？" * 290

MEASURED = ("csv", "json", "jsonl", "zip")

COLUMNS = (
    "c.session_id, c.title, c.user_identifier, m.id, m.parent_id, m.role, m.content, "
    "m.model_name, m.token_count, m.timestamp, m.metadata"
)
QUERY = (
    f"SELECT {COLUMNS} FROM conversations c "
    "JOIN conversation_messages m ON m.conversation_id = c.id "
    "WHERE m.on_path ORDER BY c.id, m.id"
)


@dataclass(frozen=True)
class Run:
    """One download: how long it took, to its first byte and to its last, and what it held."""

    seconds: float
    first_byte: float
    size: int
    growth: int


def main() -> int:
    """Measure and print; the exit code."""
    options = _options()
    if options.database == "postgresql" and postgres_programs() is None:
        print("benchmarks: PostgreSQL's programs are not installed", file=sys.stderr)
        return MISSING
    if options.memory:
        sizes = [10_000, 50_000, 100_000]
        for per_conversation in (100, 0):
            for size in sizes:
                _measure_memory(size, per_conversation, options.database)
            _measure_memory(UNEVEN, per_conversation, options.database, longer=LONG)
        return 0
    with filled(options.messages, options.per_conversation, options.database) as (url, folder):
        _measure_formats(options, url, folder)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench exports", description="Measure exports.")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--per-conversation", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="only memory, by size")
    return parser.parse_args()


def _measure_formats(options: argparse.Namespace, url: str, folder: Path) -> None:
    formats = options.formats.split(",")
    with RunningProxy(folder / "run", {"DATABASE_URL": url}) as proxy:
        own: list[float] = []
        runs: dict[str, list[Run]] = {name: [] for name in formats}
        for _ in range(options.rounds):
            own.append(_own_tool(url, folder))
            for name in formats:
                runs[name].append(download(proxy, name))
    tool = "psql \\copy" if url.startswith("postgresql") else "sqlite3 -csv"
    rate = options.messages / median(own)
    print(f"{options.messages:,} messages of {len(TEXT.encode())} bytes, {options.database}")
    print(f"{tool:14}{rate:12,.0f} rows/s")
    for name, done in runs.items():
        speed = options.messages / median([run.seconds for run in done])
        first = median([run.first_byte for run in done])
        growth = max(run.growth for run in done)
        print(
            f"{name:14}{speed:12,.0f} rows/s {speed / rate:7.0%} of it, first byte "
            f"{first * 1000:5.0f} ms, {done[0].size / 1e6:7.1f} MB, "
            f"memory +{growth / 1024**2:4.1f} MB"
        )


def _measure_memory(size: int, per_conversation: int, kind: str, *, longer: str = "") -> None:
    """Print the memory of exports of *size* messages, the second half *longer* than the first."""
    with (
        filled(size, per_conversation, kind, longer=longer) as (url, folder),
        RunningProxy(folder / "run", {"DATABASE_URL": url}) as proxy,
    ):
        growth = {name: download(proxy, name).growth for name in MEASURED}
    told = ", ".join(f"{name} +{value / 1024**2:.1f} MB" for name, value in growth.items())
    shape = f"{per_conversation} a conversation" if per_conversation else "one conversation"
    beside = f"before and after, elsewhere: {EARLIER[size]}" if not longer else "half of them long"
    print(f"{size:9,} messages, {shape:20} {told}; {beside}")


def download(proxy: RunningProxy, name: str) -> Run:
    """Fetch one export whole, and look at the server's memory meanwhile."""
    with _watched(proxy.process.pid) as growth:
        said = subprocess.run(
            [
                *("curl", "-s", "-o", os.devnull, "-w", "%{json}"),
                *("-H", f"Authorization: Bearer {KEY}"),
                f"{proxy.root}/conversations/export-all?format={name}",
            ],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    answer = json.loads(said)
    if answer["http_code"] != OK:
        raise SystemExit(f"benchmarks: {name} was answered with {answer['http_code']}")
    times = answer["time_total"], answer["time_starttransfer"]
    return Run(*times, size=answer["size_download"], growth=growth[0])


@contextmanager
def _watched(process: int) -> Iterator[list[int]]:
    """The most memory that *process* takes above what it took before, in bytes."""
    before, most, done = resident_bytes(process), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], resident_bytes(process) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def _own_tool(url: str, folder: Path) -> float:
    """Seconds that the database's own tool takes to write the same table."""
    target = folder / "own.csv"
    if url.startswith("postgresql"):
        command = ["psql", url, "-c", f"\\copy ({QUERY}) TO '{target}' CSV HEADER"]
    else:
        command = ["sqlite3", "-csv", "-header", url.removeprefix("sqlite:///"), QUERY]
    if shutil.which(command[0]) is None:
        raise SystemExit(f"benchmarks: {command[0]} is not installed")
    with target.open("wb") as file:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=file)
        return time.perf_counter() - began


@contextmanager
def filled(
    messages: int, per_conversation: int, kind: str, *, longer: str = ""
) -> Iterator[tuple[str, Path]]:
    """The URL of a database with *messages* messages, and a folder to work in."""
    with tempfile.TemporaryDirectory(prefix="officeai-exports-") as name:
        folder = Path(name)
        programs = postgres_programs()
        if kind == "sqlite" or programs is None:
            url = f"sqlite:///{folder / 'officeai.db'}"
            asyncio.run(fill(url, messages, per_conversation or messages, longer=longer))
            yield url, folder
            return
        server = PostgresServer(programs)
        try:
            server.start()
            url = server.create("exports")
            asyncio.run(fill(url, messages, per_conversation or messages, longer=longer))
            server.execute("ANALYZE", name="exports")
            yield url, folder
        finally:
            server.remove()


async def fill(url: str, messages: int, per_conversation: int, *, longer: str = "") -> None:
    """Store *messages* messages in conversations of *per_conversation*.

    Those of the second half say *longer* as well.
    """
    database = Database(url)
    await prepare(database)
    heads = [_head(number, per_conversation) for number in range(messages // per_conversation)]
    async with database.write() as connection:
        for start in range(0, len(heads), BATCH):
            await connection.execute(insert(conversations), heads[start : start + BATCH])
    for start in range(0, len(heads) * per_conversation, BATCH):
        numbers = range(start, min(start + BATCH, len(heads) * per_conversation))
        rows = [
            _message(number, per_conversation, longer if number >= messages // 2 else "")
            for number in numbers
        ]
        async with database.write() as connection:
            await connection.execute(insert(conversation_messages), rows)
    await database.close()


def _head(number: int, size: int) -> dict[str, object]:
    return {
        "id": number + 1,
        "workspace": "default",
        "user_identifier": f"user{number % 50}",
        "session_id": f"session-{number}",
        "title": f"Conversation {number}",
        "message_count": size,
        "path_count": size,
        "leaf_id": (number + 1) * size,
        "created_at": START,
        "updated_at": START + timedelta(seconds=number),
    }


def _message(number: int, size: int, longer: str = "") -> dict[str, object]:
    is_answer = number % 2 == 1
    return {
        "id": number + 1,
        "conversation_id": number // size + 1,
        "parent_id": number if number % size else None,
        "on_path": True,
        "role": "assistant" if is_answer else "user",
        "content": f"{number} {TEXT}{longer}",
        "model_name": "gpt-4o" if is_answer else None,
        "token_count": 120 if is_answer else None,
        "timestamp": START + timedelta(milliseconds=number),
        "identity": number,
    }


if __name__ == "__main__":
    sys.exit(main())
