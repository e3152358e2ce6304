"""Messages into the search index and out of it, inside the caller's transaction; never commits.

SQLite has an FTS5 table without content: `message_search`, whose rowid is the message's id.
PostgreSQL has a table of that name with a `tsvector` each and a GIN index, and in another column
and index the sets of those messages that are too long for one.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import Unopenable
from officeai_proxy.storage.rows import fitting
from officeai_proxy.storage.sealing.sealed_rows import message_place
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search.documents import Document, Entry, fts5_text

T = TypeVar("T")

BATCH = 200
"""Messages that are read at once to be indexed or taken out: their texts are in memory."""

BATCH_TEXT = 8 * 1024 * 1024
"""How long their texts are together, if there is more than one."""

_LONG = 256 * 1024
"""Characters that take longer to cut into words than a thread takes to begin: milliseconds."""


def add(connection: Connection, documents: Sequence[Document]) -> None:
    """Index messages that are not in the index yet, in one statement unless some are very long."""
    if documents:
        _cut(connection.dialect.name, documents)(connection)


async def add_aside(connection: AsyncConnection, documents: Sequence[Document]) -> None:
    """The same for a loop that serves others too: it goes on while long texts are cut into words.

    The recorder has a loop of its own, in which nobody may wait in the middle of a transaction.
    """
    if documents:
        add_all = await _aside(documents, partial(_cut, connection.dialect.name, documents))
        await connection.run_sync(add_all)


async def remove_conversation(
    connection: AsyncConnection, conversation_id: int, last: int = 0
) -> None:
    """Take the messages of a conversation behind the id *last* out of the index, or all of them;
    they must still be stored. The loop goes on while long texts are cut into words.

    FTS5 without content is told what the message said, and must be told the same as before.
    """
    wanted = {"conversation_id": conversation_id}
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK_POSTGRESQL, {**wanted, "last": last})
        await connection.execute(_REMOVE_POSTGRESQL, {**wanted, "last": last})
        return
    begun = last
    while some := await connection.run_sync(documents_of, _INDEXED, last=last, **wanted):
        rows = await _aside(some, partial(_fts5_rows, some))
        await connection.execute(_REMOVE_SQLITE, rows)
        last = some[-1].id
    if last > begun:
        await connection.execute(_ASK_FOR_PURGE)


async def _aside(documents: Sequence[Document], work: Callable[[], T]) -> T:
    """*work*, which cuts *documents* into words; in a thread, unless it is done in no time."""
    if sum(len(document.content) for document in documents) < _LONG:
        return work()
    return await asyncio.to_thread(work)


def hide_words(connection: Connection, documents: Sequence[Document], sealer: Sealer) -> None:
    """Put hashed words in the place of those of *documents*, which were indexed in the clear."""
    if not documents:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE_SQLITE, _fts5_rows(documents))
        connection.execute(_ASK_FOR_PURGE)
    else:
        ids = [document.id for document in documents]
        connection.execute(_REMOVE_SOME_POSTGRESQL, {"ids": ids})
    add(connection, [one._replace(hasher=sealer.hasher(one.workspace)) for one in documents])


def fill(connection: Connection, last: int) -> list[int]:
    """Index the next BATCH of messages behind the id *last* that are not indexed; their ids."""
    query = _MISSING_SQLITE if connection.dialect.name == "sqlite" else _MISSING_POSTGRESQL
    documents = documents_of(connection, query, last=last)
    add(connection, documents)
    return [document.id for document in documents]


def clear(connection: Connection) -> None:
    """Empty the index."""
    if connection.dialect.name == "sqlite":
        connection.execute(_CLEAR_SQLITE)
        return
    # Whoever comes later queues behind us, so we do not wait long for those who read.
    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    connection.execute(_CLEAR_POSTGRESQL)


def _fts5_rows(documents: Sequence[Document]) -> list[dict[str, object]]:
    return [{"id": document.id, "words": fts5_text(document)} for document in documents]


def _cut(dialect: str, documents: Sequence[Document]) -> Callable[[Connection], None]:
    """Cut *documents* into words; what is given back puts them into the index."""
    if dialect == "sqlite":
        rows = [(document.id, fts5_text(document)) for document in documents]
        return partial(_add_sqlite, rows=rows)
    entries = [(document.id, Entry.of(document)) for document in documents]
    return partial(_add_postgresql, entries=entries)


def _add_sqlite(connection: Connection, *, rows: Sequence[tuple[int, str]]) -> None:
    # As the driver takes it: SQLAlchemy would put the parameters of each row together anew.
    connection.exec_driver_sql(_ADD_SQLITE, [*rows])


def _add_postgresql(connection: Connection, *, entries: Sequence[tuple[int, Entry]]) -> None:
    short = {number: entry.vector for number, entry in entries if entry.long_words is None}
    if short:
        given = {"ids": list(short), "vectors": list(short.values())}
        connection.execute(_ADD_POSTGRESQL, given)
    for number, entry in entries:
        if entry.long_words is not None:
            connection.execute(_ADD_LONG_POSTGRESQL, {"id": number, "words": entry.long_words})


def documents_of(connection: Connection, /, query: str, **values: int) -> list[Document]:
    """The messages that *query* tells the ids and lengths of, in order, as many as fit into memory.

    Not all are there, but one at least. *query* has a place for how the length of a text is told,
    and a parameter `batch`.
    """
    # PostgreSQL knows the bytes of a text without reading it.
    length = "length" if connection.dialect.name == "sqlite" else "octet_length"
    asked = text(query.format(length=f"{length}(m.content)"))
    ids = fitting(connection.execute(asked, {"batch": BATCH, **values}).all(), BATCH_TEXT)
    if not ids:
        return []
    found = connection.execute(_DOCUMENTS, {"ids": ids})
    sealer = sealer_of(connection)
    return [_document_of(row, sealer) for row in found.mappings().all()]


def _document_of(row: RowMapping, sealer: Sealer | None) -> Document:
    """A row of _DOCUMENTS as a document.

    One that cannot be opened has no words: `db check` tells of it, and all others are indexed.
    """
    owner = (row["workspace"], row["user_identifier"])
    if sealer is None or row["sealed_with"] is None:
        return Document(row["id"], *owner, row["role"], row["content"])
    place = message_place("content", row["conversation_id"], row["id"])
    try:
        content = sealer.open(row["content"], place)
    except Unopenable:
        content = ""
    return Document(row["id"], *owner, row["role"], content, sealer.hasher(row["workspace"]))


_DOCUMENTS = text(
    "SELECT m.id, m.role, m.conversation_id, m.sealed_with, m.content, "
    "c.workspace, c.user_identifier FROM conversation_messages m "
    "JOIN conversations c ON c.id = m.conversation_id WHERE m.id IN :ids ORDER BY m.id"
).bindparams(bindparam("ids", expanding=True))

_INDEXED = """
    SELECT m.id, {length} FROM conversation_messages m
    WHERE m.conversation_id = :conversation_id AND m.id > :last
      AND EXISTS (SELECT 1 FROM message_search_docsize d WHERE d.id = m.id)
    ORDER BY m.id LIMIT :batch
"""
_MISSING_SQLITE = """
    SELECT m.id, {length} FROM conversation_messages m
    WHERE m.id > :last AND NOT EXISTS (SELECT 1 FROM message_search_docsize d WHERE d.id = m.id)
    ORDER BY m.id LIMIT :batch
"""
# Whoever erases a message in this moment waits for us, see _LOCK_POSTGRESQL.
_MISSING_POSTGRESQL = """
    SELECT m.id, {length} FROM conversation_messages m
    WHERE m.id > :last AND NOT EXISTS (SELECT 1 FROM message_search s WHERE s.message_id = m.id)
    ORDER BY m.id LIMIT :batch FOR KEY SHARE OF m
"""

_ADD_SQLITE = "INSERT INTO message_search (rowid, words) VALUES (?, ?)"
_ADD_POSTGRESQL = text(
    "INSERT INTO message_search (message_id, words) "
    "SELECT id, vector::tsvector "
    "FROM unnest(CAST(:ids AS bigint[]), CAST(:vectors AS text[])) AS given (id, vector) "
    "ON CONFLICT (message_id) DO NOTHING"
)
_ADD_LONG_POSTGRESQL = text(
    "INSERT INTO message_search (message_id, words, long_words) "
    "VALUES (:id, '', string_to_array(:words, ' ')) ON CONFLICT (message_id) DO NOTHING"
)
_REMOVE_SQLITE = text(
    "INSERT INTO message_search (message_search, rowid, words) VALUES ('delete', :id, :words)"
)
# A message that is being indexed in this moment must not come into the index after it is gone.
_LOCK_POSTGRESQL = text(
    "SELECT count(*) FROM (SELECT id FROM conversation_messages "
    "WHERE conversation_id = :conversation_id AND id > :last FOR UPDATE) AS locked"
)
_REMOVE_POSTGRESQL = text(
    "DELETE FROM message_search WHERE message_id IN "
    "(SELECT id FROM conversation_messages WHERE conversation_id = :conversation_id AND id > :last)"
)
_REMOVE_SOME_POSTGRESQL = text(
    "DELETE FROM message_search WHERE message_id = ANY(CAST(:ids AS bigint[]))"
)
_CLEAR_SQLITE = text("INSERT INTO message_search (message_search) VALUES ('delete-all')")
_CLEAR_POSTGRESQL = text("TRUNCATE message_search")
_ASK_FOR_PURGE = text("INSERT INTO message_search_purges DEFAULT VALUES")
