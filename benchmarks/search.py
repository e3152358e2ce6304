"""Search by itself: how long a page of hits takes, what the index costs and how large it is.

Fills a database with messages of a made-up language pair, half of them Chinese, whose words are as
unevenly frequent as those of real texts (Zipf), and asks for words of all kinds. No server runs
meanwhile: `python -m benchmarks.search --messages 1000000 --database postgresql`.
"""

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.databases import new_postgres_server

from officeai_proxy.model import Caller, NewMessage
from officeai_proxy.storage.conversations import tree
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.search import queries as search_queries
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.storage.search.upkeep import purge
from officeai_proxy.words.query import Query

HERE = Caller("benchmark", "default")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

WORDS = 40_000
CHARACTERS = 3_000
CHINESE_WORDS = 30_000
MESSAGES_A_CONVERSATION = 20
CONVERSATIONS_A_BATCH = 10
PAGE = 20
TRIES = 200


class Language:
    """Words with the frequencies of a natural language, the same ones at every run."""

    def __init__(self, words: list[str]) -> None:
        """Take *words*, the most frequent first."""
        self.words = words
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))

    def word(self, dice: random.Random) -> str:
        """A word, the first ones far more often than the last ones."""
        return self.words[bisect_left(self._weights, dice.random() * self._weights[-1])]


class Speaker:
    """Says messages, half of them in Chinese."""

    def __init__(self, seed: int) -> None:
        """Know both languages."""
        self._dice = random.Random(seed)
        letters = "etaoinshrdlucmfwygpbvk"
        self.english = Language(
            [
                "".join(self._dice.choice(letters) for _ in range(2 + self._dice.randrange(8)))
                for _ in range(WORDS)
            ]
        )
        characters = Language([chr(0x4E00 + 7 * number) for number in range(CHARACTERS)])
        self.chinese = Language(
            [
                "".join(
                    characters.word(self._dice)
                    for _ in range(self._dice.choice((1, 2, 2, 2, 3, 4)))
                )
                for _ in range(CHINESE_WORDS)
            ]
        )

    def message(self) -> str:
        """A message: most are short, some are long."""
        length = min(400, int(self._dice.lognormvariate(3.6, 0.9)) + 3)
        if self._dice.random() < 0.5:
            return " ".join(self.english.word(self._dice) for _ in range(length)).capitalize() + "."
        return "".join(
            self.chinese.word(self._dice) + ("，" if number % 6 == 5 else "")
            for number in range(length)
        )


def queries(speaker: Speaker) -> Iterator[tuple[str, list[str]]]:
    """Kinds of queries, and words of each kind."""
    english, chinese = speaker.english.words, speaker.chinese.words
    by_length = {n: [word for word in chinese if len(word) == n] for n in (1, 2, 4)}
    yield "English, common", english[:20]
    yield "English, middling", english[1000:1020]
    yield "English, rare", english[-20:]
    yield "English, absent", [f"absent{number}" for number in range(20)]
    yield "English, two common", [f"{a} {b}" for a, b in zip(english, english[5:20], strict=False)]
    yield (
        "English, common and rare",
        [f"{a} {b}" for a, b in zip(english, english[-20:], strict=False)],
    )
    yield (
        "English, phrase of common",
        [f'"{a} {b}"' for a, b in zip(english, english[3:20], strict=False)],
    )
    yield "Chinese, one character", [word[0] for word in chinese[:20]]
    yield "Chinese, one rare character", [chr(0x4E00 + 7 * (CHARACTERS - n)) for n in range(1, 21)]
    for length in (2, 4):
        yield f"Chinese, {length} characters, common", by_length[length][:20]
        yield f"Chinese, {length} characters, rare", by_length[length][-20:]
    yield "both", [f"{a}{b}" for a, b in zip(chinese, english[:20], strict=False)]


async def fill(database: Database, count: int) -> float:
    """Store *count* messages in conversations; the seconds that it took."""
    speaker = Speaker(1)
    seconds = 0.0
    for first in range(0, count, MESSAGES_A_CONVERSATION * CONVERSATIONS_A_BATCH):
        batches = [
            [_new(speaker.message(), first + n) for n in range(MESSAGES_A_CONVERSATION)]
            for _ in range(CONVERSATIONS_A_BATCH)
        ]
        began = time.perf_counter()
        async with database.write() as connection:
            for number, batch in enumerate(batches):
                conversation = await ConversationRepository(connection, HERE).create(
                    session_id=f"s{first}-{number}",
                    user_identifier=f"user{(first + number) % 97}",
                    title=None,
                    metadata={},
                    now=NOW,
                )
                await MessageRepository(connection, HERE).append(conversation, batch, now=NOW)
        seconds += time.perf_counter() - began
    return seconds


def _new(content: str, number: int) -> NewMessage:
    role = "assistant" if number % 2 else "user"
    timestamp = NOW + timedelta(seconds=number)
    return NewMessage(role=role, content=content, identity=number, timestamp=timestamp)


async def measure(database: Database, asked: list[str], **more: object) -> list[float]:
    """Milliseconds of each of TRIES searches for the first page, connection included."""
    times = []
    for number in range(TRIES + len(asked)):
        wanted = SearchFilter(query=Query.of(asked[number % len(asked)]), **more)  # type: ignore[arg-type]
        began = time.perf_counter()
        async with database.read() as connection:
            await SearchRepository(connection, HERE).page(wanted, PageRequest(PAGE))
        times.append((time.perf_counter() - began) * 1000)
    # The first of each word warms the caches.
    return sorted(times[len(asked) :])


async def plan(connection: AsyncConnection, q: str) -> Iterator[str]:
    """How the database answers *q*."""
    asked = search_queries.ways(Query.of(q), [None], workspace="default", user=None, role=None)
    given: dict[str, object] = {"before": 2**62, "count": PAGE + 1}
    if connection.dialect.name == "sqlite":
        statement = f"EXPLAIN QUERY PLAN {search_queries.NEWEST_SQLITE.text}"
        given["query"] = search_queries.fts5_any([*map(search_queries.fts5_query, asked)])
    else:
        await connection.execute(search_queries.PREPARE_POSTGRESQL, {"milliseconds": "0"})
        statement = f"EXPLAIN (ANALYZE, BUFFERS) {search_queries.NEWEST_POSTGRESQL.text}"
        given["query"] = search_queries.ts_query(asked[0])
    return (str(row[-1]) for row in await connection.execute(text(statement), given))


async def index_bytes(database: Database) -> int:
    """What the index takes, tables and trees."""
    if database.dialect is Dialect.SQLITE:
        with closing(sqlite3.connect(str(database.path))) as connection:
            size = "SELECT SUM(pgsize) FROM dbstat WHERE name LIKE 'message_search%'"
            return int(connection.execute(size).fetchone()[0])
    async with database.read() as connection:
        size = "SELECT pg_total_relation_size('message_search')"
        return int((await connection.execute(text(size))).scalar_one())


def no_index(_connection: Connection, _documents: object) -> None:
    """Stands in for the index, to see what it costs."""


async def erase_one(database: Database) -> float:
    """Erase a conversation; the seconds until none of its words is in the file."""
    began = time.perf_counter()
    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        await repository.erase(await repository.find("s0-0"), now=NOW)
    while not await purge(database):
        pass
    return time.perf_counter() - began


async def run(url: str, bare_url: str, count: int) -> None:
    """Fill, measure, print."""
    database, bare = Database(url, checkpoints=True), Database(bare_url, checkpoints=True)
    await prepare(database)
    await prepare(bare)
    seconds = await fill(database, count)
    few = min(count, 20_000)
    with_index = tree.add
    tree.add = no_index  # type: ignore[assignment]
    without = await fill(bare, few)
    tree.add = with_index
    print(f"{database.dialect}: {count} messages")
    print(
        f"  stored in {seconds / count * 1e6:.0f} µs each, {without / few * 1e6:.0f} without index"
    )
    if database.dialect is Dialect.POSTGRESQL:
        async with database.alter() as connection:
            await connection.execute(text("ANALYZE"))
    print(f"  index {await index_bytes(database) / 1e6:.1f} MB")
    speaker = Speaker(1)
    for kind, asked in queries(speaker):
        await _print_times(database, kind, asked)
    await _print_times(database, "of one user", speaker.english.words[:20], user_identifier="user7")
    await _print_times(database, "of one role", speaker.english.words[:20], role="user")
    for q in (speaker.english.words[0], speaker.english.words[-1]):
        async with database.read() as connection:
            print("\n".join(f"    {line}" for line in await plan(connection, q)))
    print(f"  one conversation erased, and purged, in {await erase_one(database):.2f} s")
    await database.close()
    await bare.close()


async def _print_times(database: Database, kind: str, asked: list[str], **more: object) -> None:
    times = await measure(database, asked, **more)
    p99 = times[int(len(times) * 0.99)]
    print(f"  {kind:32} p50 {statistics.median(times):7.2f} ms   p99 {p99:7.2f} ms")


def main() -> int:
    """Read the arguments and run."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=50_000)
    arguments.add_argument("--database", choices=list(Dialect), action="append")
    given = arguments.parse_args()
    for dialect in given.database or list(Dialect):
        if dialect == Dialect.SQLITE:
            with tempfile.TemporaryDirectory() as folder:
                urls = [f"sqlite:///{Path(folder) / name}.db" for name in ("full", "bare")]
                asyncio.run(run(*urls, given.messages))
            continue
        server = new_postgres_server()
        try:
            server.start()
            asyncio.run(run(server.create("indexed"), server.create("bare"), given.messages))
        finally:
            server.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
