"""`python -m benchmarks.imports`: how fast files are imported, and how much memory that takes.

    --messages N            how many messages the largest file has (50000)
    --database postgresql   import into a PostgreSQL server of its own instead of SQLite

Each import runs in a process of its own, so that its peak is its own. Printed are messages a second
of the first and of the second import of the same file, and how far the peak is above that of an
import of next to nothing. Files of the same size differ in how large their conversations are.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.databases import PostgresServer, postgres_programs

from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.imports import Account, Importer
from officeai_proxy.model import Caller
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

WORDS = "what one says to the other in a talk about nothing much, "
TEXT_BYTES = 250
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """How many conversations a file has, and how many messages each."""

    conversations: int
    messages: int

    @property
    def total(self) -> int:
        return self.conversations * self.messages

    def __str__(self) -> str:
        return f"{self.conversations} x {self.messages}"


@dataclass(frozen=True, slots=True)
class Run:
    """What one import took: seconds, and the peak of its process in bytes."""

    seconds: float
    peak: int


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="officeai-imports-")))
        server = _server(stack) if options.database == "postgresql" else None
        idle = _measure(Shape(1, 2), folder, server, "idle")[0].peak
        print(f"{'conversations':>20} {'first/s':>9} {'again/s':>9} {'peak above idle':>16}")
        for number, shape in enumerate(_shapes(options.messages)):
            first, again = _measure(shape, folder, server, f"s{number}")
            above = (max(first.peak, again.peak) - idle) / MEGABYTE
            rates = (shape.total / first.seconds, shape.total / again.seconds)
            print(f"{shape!s:>20} {rates[0]:9.0f} {rates[1]:9.0f} {above:13.1f} MB")
    return 0


def _shapes(most: int) -> Iterator[Shape]:
    for messages in (20, 1000):
        for total in (most // 4, most):
            yield Shape(total // messages, messages)
    yield Shape(1, most)


def _server(stack: ExitStack) -> PostgresServer:
    programs = postgres_programs()
    if programs is None:
        sys.exit("benchmarks: PostgreSQL is not installed")
    server = PostgresServer(programs)
    stack.callback(server.remove)
    server.start()
    return server


def _measure(
    shape: Shape, folder: Path, server: PostgresServer | None, name: str
) -> tuple[Run, Run]:
    """Import a file of *shape* twice into a database of its own."""
    url = f"sqlite:///{folder / name}.db" if server is None else server.create(name)
    file = folder / f"{name}.json"
    with file.open("wb") as opened:
        opened.writelines(_file(shape))
    asyncio.run(_prepare(url))
    context = multiprocessing.get_context("spawn")
    runs = []
    for _ in range(2):
        with context.Pool(1) as pool:
            runs.append(pool.apply(_import, (url, file)))
    file.unlink()
    first, again = runs
    if first[0] != shape.total or again[0] != 0:
        sys.exit(f"benchmarks: {first[0]} and then {again[0]} messages of {shape.total} came in")
    return Run(*first[1:]), Run(*again[1:])


async def _prepare(url: str) -> None:
    database = Database(url)
    try:
        await prepare(database)
    finally:
        await database.close()


def _import(url: str, file: Path) -> tuple[int, float, int]:
    """Messages that came in, the seconds it took, and the peak of this process in bytes."""
    began = time.perf_counter()
    account = asyncio.run(_run(url, file))
    seconds = time.perf_counter() - began
    return account.messages, seconds, _peak()


def _peak() -> int:
    """The most memory that this process has held. What getrusage says counts its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def _run(url: str, file: Path) -> Account:
    database = Database(url)
    reading = Reading(now=datetime.now(UTC), item_bytes=4096 * MEGABYTE, total_bytes=2**62)
    try:
        with file.open("rb") as opened:
            importer = Importer(database, Caller("benchmark", "default"), user=None)
            return await importer.run(opened, reading)
    finally:
        await database.close()


def _file(shape: Shape) -> Iterator[bytes]:
    """Our own `json`."""
    yield b'{"format":"officeai-conversations","version":1,"conversations":['
    for number in range(shape.conversations):
        yield (b",\n" if number else b"\n") + _conversation(number, shape.messages)
    counts = {"conversations": shape.conversations, "messages": shape.total}
    yield b'\n],"counts":%b,"complete":true}\n' % json.dumps(counts).encode()


def _conversation(number: int, messages: int) -> bytes:
    moment = "2026-01-31T12:00:00Z"
    head = {
        "session_id": f"bench-{number:08}",
        "title": f"Talk {number}",
        "user_identifier": "bench",
        "metadata": {},
        "created_at": moment,
        "updated_at": moment,
        "leaf": messages,
        "messages": [
            {
                "id": at,
                "parent_id": at - 1 or None,
                "role": "user" if at % 2 else "assistant",
                "content": (f"{at} of {number}: " + WORDS * 9)[:TEXT_BYTES],
                "model_name": "model",
                "token_count": None,
                "timestamp": moment,
                "metadata": {"exchange_id": f"019c1407-4c00-7000-8000-{at:012}"},
            }
            for at in range(1, messages + 1)
        ],
    }
    return json.dumps(head, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(main())
