"""A search in, the statement that asks the index for ids out; runs nothing.

Both databases are asked for the newest ids below one that match, and nothing else: whose message it
is, and what role it has, are tokens in the index like its words.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import TextClause, text

from officeai_proxy.crypto.sealing import Hasher
from officeai_proxy.storage.search.documents import (
    FAR_BITS,
    NEAR_BITS,
    TOO_RICH,
    far_token,
    near_token,
    role_token,
    user_token,
    workspace_token,
)
from officeai_proxy.words.query import Phrase, Query

Way = list[Phrase]
"""All that a message must have in the index."""


class Window(NamedTuple):
    """Messages of one of the tokens *recent*, or all; *since* is the first id among them."""

    recent: tuple[str, ...]
    since: int


def ways(
    query: Query,
    hashers: Sequence[Hasher | None],
    *,
    workspace: str,
    user: str | None,
    role: str | None,
) -> list[Way]:
    """How a message may be in the index that says what *query* asks for; one of them is enough.

    Its words are there as one of *hashers* has hidden them, None for those that are not sealed; or
    they are too many, which comes last.
    """
    whose = workspace_token(workspace) if user is None else user_token(workspace, user)
    scope: Way = [(whose,)] if role is None else [(whose,), (role_token(role),)]
    words = query.needles
    said = [
        words if hasher is None else tuple(tuple(map(hasher, phrase)) for phrase in words)
        for hasher in hashers
    ]
    return [*([*scope, *phrases] for phrases in said), [*scope, (TOO_RICH,)]]


def fts5_query(phrases: Sequence[Phrase]) -> str:
    """*phrases* in FTS5's words: strings of tokens in quotation marks (fts5.html, 3)."""
    return " AND ".join(f'"{" ".join(phrase)}"' for phrase in phrases)


def ts_query(phrases: Sequence[Phrase], *recent: str) -> str:
    """*phrases* as the text form of a `tsquery`, among messages of one of the tokens *recent*."""
    parts = [" <-> ".join(f"'{token}'" for token in phrase) for phrase in phrases]
    if recent:
        parts.append(" | ".join(f"'{token}'" for token in recent))
    return " & ".join(f"({part})" for part in parts)


def set_query(phrases: Sequence[Phrase]) -> str:
    """The tokens of *phrases*, which a set of a long message must have."""
    return " ".join(dict.fromkeys(chain.from_iterable(phrases)))


def fts5_any(queries: Sequence[str]) -> str:
    """What one of *queries* finds, in FTS5's words."""
    return queries[0] if len(queries) == 1 else " OR ".join(f"({one})" for one in queries)


def ts_any(queries: Sequence[str]) -> str:
    """What one of *queries* finds, as the text form of a `tsquery`."""
    return queries[0] if len(queries) == 1 else " | ".join(f"({one})" for one in queries)


def windows(before: int) -> Iterator[Window]:
    """Where PostgreSQL looks below the id *before*: near, then far, then everywhere.

    A GIN index gives all its hits in no order, and a common word has many; but then its newest hits
    are near. Each window is two blocks of ids, so that it is never nearly empty.
    """
    newest = max(before - 1, 0)
    for token, bits in ((near_token, NEAR_BITS), (far_token, FAR_BITS)):
        oldest = max(0, newest - (1 << bits))
        yield Window(tuple(dict.fromkeys((token(newest), token(oldest)))), oldest >> bits << bits)
    yield Window((), 0)


NEWEST_SQLITE: TextClause = text(
    "SELECT rowid FROM message_search WHERE message_search MATCH :query AND rowid < :before "
    "ORDER BY rowid DESC LIMIT :count"
)

# The planner would walk back from the newest message, looking at each, and of a rare word never
# find enough: so it gets the ids out of the index first, and nothing to walk along.
NEWEST_POSTGRESQL: TextClause = text(
    "WITH hits AS MATERIALIZED (SELECT message_id FROM message_search "
    "WHERE words @@ CAST(CAST(:query AS text) AS tsquery) "
    "AND message_id + 0 < CAST(:before AS bigint)) "
    "SELECT message_id FROM hits ORDER BY message_id DESC LIMIT :count"
)

# The same of the sets, which are few; with the newest id of all, where the windows begin.
NEWEST_SETS_POSTGRESQL: TextClause = text(
    "SELECT (SELECT MAX(id) FROM conversation_messages) AS newest, ARRAY("
    "SELECT DISTINCT s.message_id + 0 FROM unnest(CAST(:sets AS text[])) AS asked (words) "
    "JOIN message_search s ON s.long_words @> string_to_array(asked.words, ' ') "
    "WHERE s.long_words IS NOT NULL AND s.message_id + 0 < CAST(:before AS bigint) "
    "ORDER BY s.message_id + 0 DESC LIMIT :count) AS ids"
)

PREPARE_POSTGRESQL: TextClause = text(
    "SELECT set_config('statement_timeout', :milliseconds, true), "
    "set_config('enable_seqscan', 'off', true)"
)
