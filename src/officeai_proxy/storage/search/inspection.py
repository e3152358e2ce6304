"""Whether the search index holds the messages that are stored, in sentences; changes nothing.

That each message is there is proved for all of them; that it is there with the words it says, for
samples from all over the table.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text

from officeai_proxy.errors import SearchIndexDamaged
from officeai_proxy.storage.search.documents import Document, Entry, fts5_text
from officeai_proxy.storage.search.index import documents_of
from officeai_proxy.storage.search.tables import missing

SAMPLES = 40
"""Places of the table at which messages are compared with the index."""

SAMPLE = 25
"""Messages that are compared at each."""

_REMEDY = "officeai-proxy db reindex"

_PROBES = 12
"""SQLite: tokens of a message that are looked up at most."""


def index_faults(connection: Connection, *, told: int) -> list[str]:
    """What is wrong with the index, a sentence each, *told* of each kind at most."""
    if lacking := missing(connection):
        return [f"the search index lacks {name}: run `{_REMEDY}`" for name in lacking]
    is_sqlite = connection.dialect.name == "sqlite"
    table, key = ("message_search_docsize", "id") if is_sqlite else ("message_search", "message_id")
    faults = [
        f"message {number} is not in the search index: run `{_REMEDY}`"
        for number in _ids(connection, _MISSING.format(table=table, key=key), told)
    ]
    faults += [
        f"the search index has a message {number}, which does not exist: run `{_REMEDY}`"
        for number in _ids(connection, _ORPHANED.format(table=table, key=key), told)
    ]
    differing = _differing_sqlite if is_sqlite else _differing_postgresql
    try:
        wrong = [one for batch in _samples(connection) for one in differing(connection, batch)]
    except SearchIndexDamaged as exc:
        return [*faults, str(exc)]
    faults += [
        f"the search index has other words than message {number}: run `{_REMEDY}`"
        for number in wrong[:told]
    ]
    return faults


def _ids(connection: Connection, query: str, told: int) -> Sequence[int]:
    return connection.execute(text(query), {"told": told}).scalars().all()


def _samples(connection: Connection) -> Iterator[list[Document]]:
    """Messages from places that lie evenly between the oldest and the newest."""
    oldest, newest = connection.execute(_RANGE).one()
    if oldest is None:
        return
    step = max(SAMPLE, (newest - oldest) // SAMPLES + 1)
    for start in range(oldest, newest + 1, step):
        yield documents_of(connection, _SAMPLE, start=start, before=start + step, batch=SAMPLE)


def _differing_sqlite(connection: Connection, documents: Sequence[Document]) -> Iterator[int]:
    """FTS5 without content cannot say what it holds, only whether a message is among the hits."""
    for document in documents:
        tokens = fts5_text(document).split()
        probes = {*tokens[:3], *tokens[3 :: max(1, len(tokens) // _PROBES)]}
        query = " AND ".join(f'"{token}"' for token in sorted(probes))
        given = {"id": document.id, "query": query}
        if connection.execute(_PROBE_SQLITE, given).first() is None:
            yield document.id


def _differing_postgresql(connection: Connection, documents: Sequence[Document]) -> Iterator[int]:
    entries = [Entry.of(document) for document in documents]
    given = {
        "ids": [document.id for document in documents],
        "vectors": [entry.vector for entry in entries],
        "sets": [entry.long_words for entry in entries],
    }
    yield from connection.execute(_COMPARE_POSTGRESQL, given).scalars()


_MISSING = """
    SELECT m.id FROM conversation_messages m
    WHERE NOT EXISTS (SELECT 1 FROM {table} s WHERE s.{key} = m.id)
    ORDER BY m.id LIMIT :told
"""

_ORPHANED = """
    SELECT s.{key} FROM {table} s
    WHERE NOT EXISTS (SELECT 1 FROM conversation_messages m WHERE m.id = s.{key})
    ORDER BY s.{key} LIMIT :told
"""

_RANGE = text("SELECT MIN(id), MAX(id) FROM conversation_messages")

_SAMPLE = """
    SELECT m.id, {length} FROM conversation_messages m
    WHERE m.id >= :start AND m.id < :before ORDER BY m.id LIMIT :batch
"""

_PROBE_SQLITE = text(
    "SELECT rowid FROM message_search WHERE message_search MATCH :query AND rowid = :id"
)

_COMPARE_POSTGRESQL = text(
    "SELECT s.message_id FROM message_search s "
    "JOIN unnest(CAST(:ids AS bigint[]), CAST(:vectors AS text[]), CAST(:sets AS text[])) "
    "AS given (id, vector, long_words) ON given.id = s.message_id "
    "WHERE s.words IS DISTINCT FROM CAST(given.vector AS tsvector) "
    "OR s.long_words IS DISTINCT FROM string_to_array(given.long_words, ' ') "
    "ORDER BY s.message_id"
)
