"""Messages into the search index and out of it, inside the caller's transaction; never commits.

SQLite has an FTS5 table without content: `message_search`, whose rowid is the message's id.
PostgreSQL has a table of that name with a `tsvector` each and a GIN index. Both take tokens as
`words.tokens` makes them, and beside them tokens that say whose the message is: a search never
leaves its workspace inside the index. An underscore begins those, and no text gives such a token.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, cast

from sqlalchemy import Connection, RowMapping, bindparam, text

from officeai_proxy.crypto.sealing import Hasher, Sealer
from officeai_proxy.errors import Unopenable
from officeai_proxy.storage.sealed_rows import message_place
from officeai_proxy.storage.vault import sealer_of
from officeai_proxy.words.tokens import MAX_REPEATS, MAX_TEXT, Tokens, tokens_of

BATCH = 200
"""Messages that are read at once to be indexed or taken out: their texts are in memory."""

NEAR_BITS, FAR_BITS = 12, 17
"""PostgreSQL: how many ids share one token of recency, see `storage.search`."""

_TOO_OFTEN = "_"


class Document(NamedTuple):
    """A message as the index sees it; *hasher* hides the words of one that is stored sealed."""

    id: int
    workspace: str
    user: str
    role: str
    content: str
    hasher: Hasher | None = None

    @property
    def tokens(self) -> Tokens:
        """What the index holds of the text; hashed where the text is sealed."""
        tokens = tokens_of(self.content)
        return tokens if self.hasher is None else _hashed_tokens(tokens, self.hasher)


def add(connection: Connection, documents: Sequence[Document]) -> None:
    """Index messages that are not in the index yet, in one statement."""
    if not documents:
        return
    if connection.dialect.name == "sqlite":
        # As the driver takes it: SQLAlchemy would put the parameters of each row together anew.
        rows = [(document.id, fts5_text(document)) for document in documents]
        connection.exec_driver_sql(_ADD_SQLITE, rows)
    else:
        ids, vectors = _vectors(documents)
        connection.execute(_ADD_POSTGRESQL, {"ids": ids, "vectors": vectors})


def remove_conversation(connection: Connection, conversation_id: int) -> None:
    """Take all messages of a conversation out of the index; they must still be stored.

    FTS5 without content is told what the message said, and must be told the same as before.
    """
    wanted = {"conversation_id": conversation_id}
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_POSTGRESQL, wanted)
        connection.execute(_REMOVE_POSTGRESQL, wanted)
        return
    last = 0
    while documents := list(_read(connection, _INDEXED, last=last, **wanted)):
        connection.execute(_REMOVE_SQLITE, [_fts5_row(document) for document in documents])
        last = documents[-1].id
    if last:
        connection.execute(_ASK_FOR_PURGE)


def hide_words(connection: Connection, documents: Sequence[Document], sealer: Sealer) -> None:
    """Put hashed words in the place of those of *documents*, which were indexed in the clear."""
    if not documents:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(_REMOVE_SQLITE, [_fts5_row(document) for document in documents])
        connection.execute(_ASK_FOR_PURGE)
    else:
        ids = [document.id for document in documents]
        connection.execute(_REMOVE_SOME_POSTGRESQL, {"ids": ids})
    add(connection, [one._replace(hasher=sealer.hasher(one.workspace)) for one in documents])


def fill(connection: Connection, last: int) -> list[int]:
    """Index the next BATCH of messages behind the id *last* that are not indexed; their ids."""
    query = _MISSING_SQLITE if connection.dialect.name == "sqlite" else _MISSING_POSTGRESQL
    documents = list(_read(connection, query, last=last))
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


def fts5_text(document: Document) -> str:
    """What FTS5 is given for a message: tokens with spaces between."""
    tokens = document.tokens
    scope = _scope_text(document.workspace, document.user, document.role)
    said = (" ".join(_words(tokens)), " ".join(tokens.singles))
    return " ".join(filter(None, (scope, *said)))


def vector_text(document: Document) -> str:
    """A message as the text form of a `tsvector` (PostgreSQL manual, 8.11.1)."""
    tokens = document.tokens
    recency = (near_token(document.id), far_token(document.id))
    places = _places(tokens)
    scope = _scope_text(document.workspace, document.user, document.role)
    bare = (scope, *recency, *(one for one in tokens.singles if one not in places))
    return " ".join((*bare, *(f"{token}:{','.join(at)}" for token, at in places.items())))


@lru_cache(maxsize=4096)
def workspace_token(workspace: str) -> str:
    """The token of all messages of a workspace."""
    return _hashed("_w", workspace)


@lru_cache(maxsize=4096)
def user_token(workspace: str, user: str) -> str:
    """The token of all messages of one user of a workspace."""
    return _hashed("_u", workspace, user)


@lru_cache(maxsize=64)
def role_token(role: str) -> str:
    """The token of all messages of a role."""
    return _hashed("_r", role)


def near_token(message_id: int) -> str:
    """The token of a few thousand neighbours of a message."""
    return f"_n{message_id >> NEAR_BITS}"


def far_token(message_id: int) -> str:
    """The token of a hundred thousand neighbours of a message."""
    return f"_f{message_id >> FAR_BITS}"


def _hashed(kind: str, *names: str) -> str:
    """Names may hold anything; tokens hold letters and digits."""
    # A slash is in no label, so that two pairs of names never look the same.
    return kind + blake2b("/".join(names).encode(), digest_size=10).hexdigest()


@lru_cache(maxsize=4096)
def _scope_text(workspace: str, user: str, role: str) -> str:
    return f"{workspace_token(workspace)} {user_token(workspace, user)} {role_token(role)}"


def _words(tokens: Tokens) -> Iterable[str]:
    """The tokens in order, with another one in the place of those that came too often."""
    if len(tokens.ordered) <= MAX_REPEATS:
        return cast("Sequence[str]", tokens.ordered)
    return (token or _TOO_OFTEN for token in tokens.ordered)


def _hashed_tokens(tokens: Tokens, hasher: Hasher) -> Tokens:
    hashed = {token: hasher(token) for token in {*tokens.ordered, *tokens.singles} if token}
    ordered = [None if token is None else hashed[token] for token in tokens.ordered]
    return Tokens(ordered, [hashed[token] for token in tokens.singles])


def _places(tokens: Tokens) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for place, token in enumerate(tokens.ordered, 1):
        if token is not None:
            places.setdefault(token, []).append(str(place))
    return places


def _fts5_row(document: Document) -> dict[str, object]:
    return {"id": document.id, "words": fts5_text(document)}


def _vectors(documents: Iterable[Document]) -> tuple[list[int], list[str]]:
    rows = [(document.id, vector_text(document)) for document in documents]
    return [number for number, _ in rows], [vector for _, vector in rows]


def _read(connection: Connection, query: str, **values: int) -> Iterator[Document]:
    # The driver must not read ahead what a batch has no room for.
    asked = text(query.format(document=document_columns(connection)))
    found = connection.execute(
        asked.bindparams(bindparam("most", MAX_TEXT + 1), bindparam("batch", BATCH)), values
    )
    sealer = sealer_of(connection)
    return (document_of(row, sealer) for row in found.mappings().all())


def document_columns(connection: Connection) -> str:
    """What of a message an index needs, as the middle of a query."""
    return _DOCUMENT if sealer_of(connection) is None else _SEALED_DOCUMENT


def document_of(row: RowMapping, sealer: Sealer | None) -> Document:
    """A row of `document_columns` as a document.

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


_DOCUMENT = """
    m.id, m.role, substr(m.content, 1, :most) AS content, c.workspace, c.user_identifier
    FROM conversation_messages m JOIN conversations c ON c.id = m.conversation_id
"""
# A sealed text opens only whole.
_SEALED_DOCUMENT = """
    m.id, m.role, m.conversation_id, m.sealed_with, c.workspace, c.user_identifier,
    CASE WHEN m.sealed_with IS NULL THEN substr(m.content, 1, :most) ELSE m.content END AS content
    FROM conversation_messages m JOIN conversations c ON c.id = m.conversation_id
"""

_INDEXED = """
    SELECT {document}
    WHERE m.conversation_id = :conversation_id AND m.id > :last
      AND EXISTS (SELECT 1 FROM message_search_docsize d WHERE d.id = m.id)
    ORDER BY m.id LIMIT :batch
"""
_MISSING_SQLITE = """
    SELECT {document}
    WHERE m.id > :last AND NOT EXISTS (SELECT 1 FROM message_search_docsize d WHERE d.id = m.id)
    ORDER BY m.id LIMIT :batch
"""
# Whoever erases a message in this moment waits for us, see _LOCK_POSTGRESQL.
_MISSING_POSTGRESQL = """
    SELECT {document}
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
_REMOVE_SQLITE = text(
    "INSERT INTO message_search (message_search, rowid, words) VALUES ('delete', :id, :words)"
)
# A message that is being indexed in this moment must not come into the index after it is gone.
_LOCK_POSTGRESQL = text(
    "SELECT count(*) FROM (SELECT id FROM conversation_messages "
    "WHERE conversation_id = :conversation_id FOR UPDATE) AS locked"
)
_REMOVE_POSTGRESQL = text(
    "DELETE FROM message_search WHERE message_id IN "
    "(SELECT id FROM conversation_messages WHERE conversation_id = :conversation_id)"
)
_REMOVE_SOME_POSTGRESQL = text(
    "DELETE FROM message_search WHERE message_id = ANY(CAST(:ids AS bigint[]))"
)
_CLEAR_SQLITE = text("INSERT INTO message_search (message_search) VALUES ('delete-all')")
_CLEAR_POSTGRESQL = text("TRUNCATE message_search")
_ASK_FOR_PURGE = text("INSERT INTO message_search_purges DEFAULT VALUES")
