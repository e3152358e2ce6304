"""The recorder by itself: how fast it moves a journal into a database, and how large that grows.

The journal is written beforehand, as if the database had been away. Reader, merge and store are the
program's own; no server runs meanwhile.
"""

import asyncio
import gc
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from benchmarks.load import BenchmarkFailed
from tests.factories import an_exchange, assistant, reply_body, user

from officeai_proxy.model import Exchange
from officeai_proxy.recording import segments
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.recorder import Pace, Recorder
from officeai_proxy.recording.setaside import count
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.engine.address import Dialect
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.schema.migrations import prepare

QUESTION_BYTES = 100
ANSWER_BYTES = 400
TEXT_BYTES = QUESTION_BYTES + ANSWER_BYTES
"""What is said in one turn, question and answer."""

SERVED_THRESHOLDS = (50_000, 5, 5)
"""How rarely the program collects garbage, see `app.py`."""

# Odd, so that no two numbers below 2 to the power of 32 give the same name (Knuth, 6.4).
_FAR_APART = 2_654_435_761

_USAGE = {"prompt_tokens": 57, "completion_tokens": 120, "total_tokens": 177}
_TABLES = ("conversations", "conversation_messages", "conversation_models", "exchanges")


@dataclass(frozen=True, slots=True)
class Work:
    """What storing some exchanges took, in seconds: on the clock, and of CPU of this process."""

    exchanges: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Exchanges a second."""
        return self.exchanges / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for an exchange."""
        return self.cpu / self.exchanges * 1e6


def turns(
    sessions: Iterable[int], first: int, last: int, *, resent: int | None = None
) -> Iterator[Exchange]:
    """Turn *first* to *last* of each of *sessions* at once.

    Each call sends the messages of *resent* earlier turns again, and of all of them for None.
    """
    known = list(sessions)
    for turn in range(first, last + 1):
        oldest = 1 if resent is None else max(1, turn - resent)
        for session in known:
            yield an_exchange(
                _history(session, oldest, turn),
                reply_body([assistant(_text("A", session, turn, ANSWER_BYTES))], usage=_USAGE),
                session=session_name(session),
            )


def session_name(number: int) -> str:
    """A name for a session of its own: names that follow each other are far apart in an index."""
    return f"bench-{number * _FAR_APART % 2**32:08x}"


class Bench:
    """A recorder in front of one database, which stays open between one journal and the next.

    A context manager. Reader, merge and store are set up as the program does it.
    """

    def __init__(self, directory: Path, url: str) -> None:
        """Journal into *directory* and record into the database of *url*."""
        self._directory = directory
        self._database = open_database(url)
        self._runner = asyncio.Runner()

    def __enter__(self) -> "Bench":
        self._runner.run(prepare(self._database))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._database.close())
        self._runner.close()

    def drain(self, exchanges: Iterable[Exchange], *, batch: int | None = None) -> Work:
        """Journal *exchanges*, then let the recorder store them, at most *batch* at once.

        Raises:
            BenchmarkFailed: something was not stored.
        """
        open_directory(self._directory)
        journal = Journal(self._directory)
        number = 0
        for exchange in exchanges:
            journal.append(exchange)
            number += 1
        journal.close()
        pace = Pace() if batch is None else Pace(max_entries=batch)
        with collected_as_served():
            seconds, cpu = self._runner.run(self._record(pace))
        self._runner.run(self._database.checkpoint())
        if segments.sizes(self._directory) or count(self._directory) or journal.dropped:
            raise BenchmarkFailed("the recorder has not stored everything")
        return Work(number, seconds, cpu)

    async def _record(self, pace: Pace) -> tuple[float, float]:
        recorder = Recorder(
            self._directory,
            SqlExchangeStore(self._database),
            is_transient=is_transient,
            tidy=self._tidy,
            pace=pace,
        )
        recorder.stop()
        began, cpu = time.perf_counter(), time.process_time()
        await recorder.run()
        return time.perf_counter() - began, time.process_time() - cpu

    async def _tidy(self) -> bool:
        await self._database.checkpoint()
        return True


def open_database(url: str) -> Database:
    """The database of *url* as the program's recorder opens it."""
    return Database(url, checkpoints=True, pool_size=3, inline=True)


@contextmanager
def collected_as_served() -> Iterator[None]:
    """Collect garbage as rarely as the program does once it has started."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SERVED_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def drain(directory: Path, url: str, exchanges: Iterable[Exchange]) -> Work:
    """Journal *exchanges* in *directory*; what the recorder takes to store them.

    Raises:
        BenchmarkFailed: something was not stored.
    """
    with Bench(directory, url) as bench:
        return bench.drain(exchanges)


def stored_bytes(url: str) -> int:
    """Bytes of the pages in which conversations, messages, calls and their indexes are.

    Of the index that searches look into nothing is counted.
    """
    database = Database(url)
    if database.dialect is Dialect.POSTGRESQL:
        return asyncio.run(_postgres_bytes(url))
    with closing(sqlite3.connect(str(database.path))) as connection:
        pages = connection.execute(
            "SELECT sum(pgsize) FROM dbstat WHERE name NOT LIKE 'message_search%'"
        )
        return int(pages.fetchone()[0])


def reuse_space(url: str) -> None:
    """Let the space of rows that were written anew be used again.

    PostgreSQL does it by itself, once a minute, which is about the time between two turns; SQLite
    writes rows anew where they are.
    """
    if Database(url).dialect is Dialect.POSTGRESQL:
        asyncio.run(_vacuum(url))


async def _vacuum(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for table in _TABLES:
            await connection.execute(f"VACUUM {table}")
    finally:
        await connection.close()


async def _postgres_bytes(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        sizes = [
            await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table)
            for table in _TABLES
        ]
    finally:
        await connection.close()
    return int(sum(sizes))


def _history(session: int, oldest: int, turn: int) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    for earlier in range(oldest, turn):
        messages.append(user(_text("Q", session, earlier, QUESTION_BYTES)))
        messages.append(assistant(_text("A", session, earlier, ANSWER_BYTES)))
    messages.append(user(_text("Q", session, turn, QUESTION_BYTES)))
    return messages


def _text(kind: str, session: int, turn: int, size: int) -> str:
    beginning = f"{kind} {turn} of {session}: "
    words = "what one says to the other in a talk about nothing much, "
    return (beginning + words * (size // len(words) + 1))[:size]
