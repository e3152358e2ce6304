"""Values as the drivers take and give them, for statements that do without SQLAlchemy's types.

SQLite keeps a UUID as 32 hexadecimal digits and a moment as a text that does not say it is in UTC;
PostgreSQL has types for both. A list of ids is one parameter, so that a statement has the same text
however many they are, and the drivers know it again.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID


def id_list(ids: Collection[UUID] | Collection[int], *, dialect: str) -> str | list[UUID | int]:
    """*ids* as one parameter: JSON for SQLite, an array for PostgreSQL."""
    if dialect != "sqlite":
        return list(ids)
    texts = (f'"{one.hex}"' if isinstance(one, UUID) else str(one) for one in ids)
    return f"[{','.join(texts)}]"


def select_by_ids(columns: str, table: str, *, key: str = "id", kind: str) -> dict[str, str]:
    """What each dialect is asked for the rows of *table* whose *key* is in a list of ids."""
    # Without a number: from 3.14 on Python's `sqlite3` takes a numbered place for a name.
    lists = {
        "sqlite": "IN (SELECT value FROM json_each(?))",
        "postgresql": f"= ANY(CAST($1 AS {kind}[]))",
    }
    rows = f"SELECT {columns} FROM {table} WHERE {key} "  # noqa: S608 - names of our own
    return {dialect: rows + is_listed for dialect, is_listed in lists.items()}


def uuid_of(stored: UUID | str) -> UUID:
    """A UUID as a driver gives it."""
    return UUID(hex=stored) if isinstance(stored, str) else stored


EARLIEST = datetime.min.replace(microsecond=1, tzinfo=UTC)
LATEST = datetime.max.replace(microsecond=999_998, tzinfo=UTC)


def storable(moment: datetime) -> datetime:
    """*moment* in UTC, one microsecond inside the calendar's first and last.

    The driver of PostgreSQL takes those two for the infinite past and future, which no export can
    name (asyncpg documentation, "Type Conversion"); SQLite tells the same. So it is with a day that
    somebody's clock has and the calendar in UTC has not.
    """
    try:
        in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == EARLIEST.year else LATEST
    return in_utc if EARLIEST <= in_utc <= LATEST else min(max(in_utc, EARLIEST), LATEST)


_WITHOUT_ZONE = len("2026-11-20 12:00:00.000000")


def sqlite_moment(moment: datetime | None) -> str | None:
    """A moment as SQLAlchemy writes it for SQLite, always with six decimals."""
    if moment is None:
        return None
    return storable(moment).isoformat(" ", "microseconds")[:_WITHOUT_ZONE]


def moment_of(stored: datetime | str) -> datetime:
    """A moment as a driver gives it."""
    if isinstance(stored, str):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return stored
