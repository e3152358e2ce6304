"""The tables of the search index, which no other module makes: what is missing of them, and all of
them made anew, empty, inside the caller's transaction; never commits.

The migrations made them; whoever dropped or damaged one has every message in its table still.
"""

from sqlalchemy import Connection, text

from officeai_proxy.storage.search import index as search_index

_PARTS = {
    "sqlite": (
        "message_search",
        "message_search_data",
        "message_search_idx",
        "message_search_docsize",
        "message_search_config",
        "message_search_purges",
    ),
    "postgresql": ("message_search", "ix_message_search_words", "ix_message_search_long_words"),
}
"""Tables and indexes without which messages are not stored, not found, or found slowly."""

_IS_THERE = {
    "sqlite": text("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = :name)"),
    "postgresql": text("SELECT to_regclass(:name) IS NOT NULL"),
}

_MAKE_SQLITE = (
    "DROP TABLE IF EXISTS message_search",
    "CREATE VIRTUAL TABLE message_search USING fts5("
    "words, content='', tokenize=\"ascii tokenchars '_'\")",
    "CREATE TABLE IF NOT EXISTS message_search_purges ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, has_begun BOOLEAN NOT NULL DEFAULT false)",
)

_MAKE_POSTGRESQL = {
    "message_search": "CREATE TABLE message_search (message_id bigint NOT NULL, "
    'words tsvector NOT NULL, long_words text[] COLLATE "C", '
    "CONSTRAINT pk_message_search PRIMARY KEY (message_id))",
    "ix_message_search_words": "CREATE INDEX ix_message_search_words "
    "ON message_search USING gin (words) WITH (gin_pending_list_limit = 1024)",
    "ix_message_search_long_words": "CREATE INDEX ix_message_search_long_words "
    "ON message_search USING gin (long_words) WITH (gin_pending_list_limit = 1024) "
    "WHERE long_words IS NOT NULL",
}


def missing(connection: Connection) -> list[str]:
    """The names of what is not there."""
    dialect = connection.dialect.name
    there = _IS_THERE[dialect]
    return [name for name in _PARTS[dialect] if not connection.scalar(there, {"name": name})]


def make_anew(connection: Connection) -> None:
    """Make what is missing, and empty the rest.

    FTS5 cannot empty a table that it finds damaged, but drop it. PostgreSQL's tables have rights
    and an owner, which stay.
    """
    if connection.dialect.name == "sqlite":
        for statement in _MAKE_SQLITE:
            connection.execute(text(statement))
        return
    lacking = missing(connection)
    if "message_search" not in lacking:
        search_index.clear(connection)
    for name in lacking:
        connection.execute(text(_MAKE_POSTGRESQL[name]))
