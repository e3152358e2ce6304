"""What the search index needs now and then: to be built anew, and purged of what was erased.

Both go in short transactions, while others read and write.
"""

import time

from sqlalchemy import Connection, text

from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.search import index as search_index
from officeai_proxy.storage.search import tables as search_tables

PURGE_SECONDS = 0.5
"""How long one purge may take before it leaves the rest to the next; recording waits for it."""

_PAGES_A_STEP = 250
_NOTHING_TO_DO = 2
"""Fewer changes than this mean that no merge is going on (sqlite.org/fts5.html, 6.7)."""


async def reindex(database: Database) -> int:
    """Build the index anew, also where its tables are gone; how many messages were indexed.

    Searches find too little until it is done. Whoever stopped it half way runs it again.

    Raises:
        DatabaseUnavailable: the database cannot be reached, or is too busy for it right now.
    """
    async with database.write() as connection:
        await connection.run_sync(search_tables.make_anew)
    count, last = 0, 0
    while True:
        async with database.write() as connection:
            indexed = await connection.run_sync(search_index.fill, last)
        if not indexed:
            return count
        count, last = count + len(indexed), indexed[-1]


async def purge(database: Database, *, seconds: float = PURGE_SECONDS) -> bool:
    """SQLite: bring the words of erased messages out of the file; whether none is left in it.

    FTS5 keeps what was deleted until it has merged its segments (sqlite.org/fts5.html, 6.7). That
    may take long, so it is done in steps, and the next call goes on where this one had to stop.

    Raises:
        DatabaseUnavailable: the file cannot be written right now.
    """
    if database.dialect is not Dialect.SQLITE:
        return True
    deadline = time.monotonic() + seconds
    while await _is_asked_for(database):
        async with database.write() as connection:
            await connection.run_sync(_merge_step)
        if time.monotonic() >= deadline:
            return not await _is_asked_for(database)
    return True


async def _is_asked_for(database: Database) -> bool:
    async with database.read() as connection:
        return (await connection.execute(_ASKED)).first() is not None


def _merge_step(connection: Connection) -> None:
    """Begin to merge all segments, or go on with it; strike out what it was done for at its end.

    What is erased after a merge has begun waits for the next one.
    """
    has_begun = connection.execute(_BEGUN).first() is not None
    if not has_begun:
        connection.execute(_BEGIN)
    before = connection.execute(_CHANGES).scalar_one()
    pages = _PAGES_A_STEP if has_begun else -_PAGES_A_STEP
    connection.execute(_MERGE, {"pages": pages})
    if connection.execute(_CHANGES).scalar_one() - before < _NOTHING_TO_DO:
        connection.execute(_END)


_ASKED = text("SELECT 1 FROM message_search_purges LIMIT 1")
_BEGUN = text("SELECT 1 FROM message_search_purges WHERE has_begun LIMIT 1")
_BEGIN = text("UPDATE message_search_purges SET has_begun = true")
_END = text("DELETE FROM message_search_purges WHERE has_begun")
_CHANGES = text("SELECT total_changes()")
_MERGE = text("INSERT INTO message_search (message_search, rank) VALUES ('merge', :pages)")
