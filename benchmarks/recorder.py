"""The recorder by itself: how fast it moves a journal into a database, and how large that grows.

The journal is written beforehand, as if the database had been away. Reader, merge and store are the
program's own; no server runs meanwhile.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
from benchmarks.load import BenchmarkFailed
from tests.factories import an_exchange, assistant, reply_body, user

from officeai_proxy.model import Exchange
from officeai_proxy.recording import segments
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.recorder import Recorder
from officeai_proxy.recording.setaside import count
from officeai_proxy.storage.address import Dialect
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.migrations import prepare

QUESTION_BYTES = 100
ANSWER_BYTES = 400
TEXT_BYTES = QUESTION_BYTES + ANSWER_BYTES
"""What is said in one turn, question and answer."""

_USAGE = {"prompt_tokens": 57, "completion_tokens": 120, "total_tokens": 177}
_TABLES = ("conversations", "conversation_messages", "exchanges")


def turns(sessions: int, first: int, last: int) -> Iterator[Exchange]:
    """Turn *first* to *last* of *sessions* conversations at once, each call with its history."""
    for turn in range(first, last + 1):
        for session in range(sessions):
            yield an_exchange(
                _history(session, turn),
                reply_body([assistant(_text("A", session, turn, ANSWER_BYTES))], usage=_USAGE),
                session=f"bench-{session:08}",
            )


def drain(directory: Path, url: str, exchanges: Iterable[Exchange]) -> float:
    """Journal *exchanges* in *directory*; the seconds that the recorder takes to store them.

    Raises:
        BenchmarkFailed: something was not stored.
    """
    open_directory(directory)
    journal = Journal(directory)
    for exchange in exchanges:
        journal.append(exchange)
    journal.close()
    seconds = asyncio.run(_record(directory, url))
    if segments.sizes(directory) or count(directory) or journal.dropped:
        raise BenchmarkFailed("the recorder has not stored everything")
    return seconds


async def _record(directory: Path, url: str) -> float:
    database = Database(url, checkpoints=True, pool_size=2)

    async def tidy() -> bool:
        await database.checkpoint()
        return True

    try:
        await prepare(database)
        recorder = Recorder(
            directory,
            SqlExchangeStore(database),
            is_transient=is_transient,
            tidy=tidy,
        )
        recorder.stop()
        began = time.perf_counter()
        await recorder.run()
        seconds = time.perf_counter() - began
        await database.checkpoint()
    finally:
        await database.close()
    return seconds


def stored_bytes(url: str) -> int:
    """Bytes of the pages in which conversations, messages, calls and their indexes are."""
    database = Database(url)
    if database.dialect is Dialect.POSTGRESQL:
        return asyncio.run(_postgres_bytes(url))
    with closing(sqlite3.connect(str(database.path))) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


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


def _history(session: int, turn: int) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    for earlier in range(1, turn):
        messages.append(user(_text("Q", session, earlier, QUESTION_BYTES)))
        messages.append(assistant(_text("A", session, earlier, ANSWER_BYTES)))
    messages.append(user(_text("Q", session, turn, QUESTION_BYTES)))
    return messages


def _text(kind: str, session: int, turn: int, size: int) -> str:
    beginning = f"{kind} {turn} of {session}: "
    words = "what one says to the other in a talk about nothing much, "
    return (beginning + words * (size // len(words) + 1))[:size]
