"""The rules that the rows must keep, as queries that find what breaks them; changes nothing.

Each query walks an index in order, so the database needs little memory too, and each kind of fault
is told for a bounded number of rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import DatabaseDamaged, SearchIndexDamaged
from officeai_proxy.storage.calls.hours_inspection import hour_faults
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.sealing.inspection import sealing_faults
from officeai_proxy.storage.search.inspection import index_faults

TOLD = 20
"""How many faults of one kind are told at most."""

_ORPHANS = """
    SELECT m.id, m.conversation_id FROM conversation_messages m
    WHERE NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = m.conversation_id)
    ORDER BY m.id LIMIT :told
"""

_PARENTS = """
    SELECT m.id, m.parent_id FROM conversation_messages m
    LEFT JOIN conversation_messages p ON p.id = m.parent_id
    WHERE m.parent_id IS NOT NULL
      AND (p.id IS NULL OR p.id >= m.id OR p.conversation_id <> m.conversation_id)
    ORDER BY m.id LIMIT :told
"""

_COUNTS = """
    SELECT c.id, c.message_count, c.path_count, COUNT(m.id), COUNT(CASE WHEN m.on_path THEN 1 END)
    FROM conversations c LEFT JOIN conversation_messages m ON m.conversation_id = c.id
    GROUP BY c.id, c.message_count, c.path_count
    HAVING c.message_count <> COUNT(m.id)
        OR c.path_count <> COUNT(CASE WHEN m.on_path THEN 1 END)
    ORDER BY c.id LIMIT :told
"""

_LEAVES = """
    SELECT c.id, c.leaf_id FROM conversations c
    WHERE c.leaf_id IS DISTINCT FROM (
        SELECT MAX(m.id) FROM conversation_messages m
        WHERE m.conversation_id = c.id AND m.on_path
    )
    ORDER BY c.id LIMIT :told
"""

# Ids grow along the path, so the message before on the path must be the parent.
_PATHS = """
    SELECT walk.id, walk.parent_id FROM (
        SELECT m.id, m.parent_id, m.conversation_id,
               LAG(m.id) OVER (PARTITION BY m.conversation_id ORDER BY m.id) AS before_id
        FROM conversation_messages m WHERE m.on_path
    ) walk
    WHERE walk.parent_id IS DISTINCT FROM walk.before_id
    ORDER BY walk.id LIMIT :told
"""

_MODELS = """
    SELECT DISTINCT m.conversation_id, m.model_name FROM conversation_messages m
    WHERE m.model_name IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM conversation_models k
        WHERE k.conversation_id = m.conversation_id
          AND k.model_name = substr(m.model_name, 1, 255)
    )
    ORDER BY m.conversation_id, m.model_name LIMIT :told
"""

_RULES = (
    (_ORPHANS, "message {} belongs to the conversation {}, which does not exist"),
    (_PARENTS, "message {} has the parent {}, which is no earlier message of its conversation"),
    (_COUNTS, "conversation {} says {} messages, {} on its path; there are {}, and {} on the path"),
    (_LEAVES, "conversation {} says its newest message is {}, which is not where its path ends"),
    (_PATHS, "the path is broken at message {}: its parent {} is not the message before it"),
    (
        _MODELS,
        "conversation {} has a message of the model {!r}, and is not in the list of that one: "
        "run `officeai-proxy db upgrade`",
    ),
)


async def broken_rules(connection: AsyncConnection) -> list[str]:
    """What is wrong, a sentence each; in a damaged file nothing else is looked for."""
    is_sqlite = connection.dialect.name == "sqlite"
    damage = await _damage(connection, "integrity_check") if is_sqlite else Damage()
    if damage.of_file:
        told = [f"the file is damaged: {line}" for line in damage.of_file]
        return [*told, DatabaseDamaged().message]
    faults = await _dangling(connection) if is_sqlite else []
    for query, sentence in _RULES:
        found = await connection.execute(text(query), {"told": TOLD})
        faults += [sentence.format(*row) for row in found]
    faults += await connection.run_sync(sealing_faults, told=TOLD)
    faults += await connection.run_sync(hour_faults, told=TOLD)
    of_index = [str(SearchIndexDamaged(said=line)) for line in damage.of_index]
    return faults + (await connection.run_sync(index_faults, told=TOLD) or of_index)


@dataclass(frozen=True, slots=True)
class Damage:
    """What SQLite itself finds in its file, a line each (pragma.html#pragma_integrity_check)."""

    of_file: tuple[str, ...] = ()
    of_index: tuple[str, ...] = ()

    @classmethod
    def told_by(cls, lines: Iterable[str]) -> Self:
        """Since 3.44 SQLite looks into the search index, too, which is made anew from the rest."""
        found = [line for line in lines if line != "ok"]
        of_index = tuple(line for line in found if "fts5" in line.lower())
        return cls(tuple(line for line in found if line not in of_index), of_index)


async def look_over(database: Database) -> None:
    """Let SQLite read its file once, without comparing indexes with their tables.

    Raises:
        DatabaseDamaged: the file is not as SQLite wrote it.
        SearchIndexDamaged: only the search index is not.
        DatabaseUnavailable: it cannot be read right now.
    """
    if database.dialect is Dialect.SQLITE:
        async with database.peek() as connection:
            damage = await _damage(connection, "quick_check")
        if damage.of_file:
            raise DatabaseDamaged
        if damage.of_index:
            raise SearchIndexDamaged


async def _damage(connection: AsyncConnection, look: str) -> Damage:
    found = await connection.execute(text(f"PRAGMA {look}({TOLD})"))
    return Damage.told_by(found.scalars())


async def _dangling(connection: AsyncConnection) -> list[str]:
    """Rows whose foreign key leads nowhere."""
    dangling = await connection.execute(text("PRAGMA foreign_key_check"))
    return [
        f"row {row} of {table} refers to a row of {parent} that does not exist"
        for table, row, parent, _ in dangling.fetchmany(TOLD)
    ]
