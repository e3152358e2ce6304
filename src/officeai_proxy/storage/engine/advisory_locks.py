"""Locks of a PostgreSQL database that belong to no row: a number in, its lock held on return.

Whoever has one keeps it until the transaction ends. SQLite has one writer, and needs none of them.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Any numbers will do that no other program on the same database takes.
SCHEMA = 0x0FF1CEA1
KEYS = 0x0FF1CEA2
RECORDING = 0x0FF1CEA4
"""Shared by those who store calls, see `storage.conversations.burials`."""

_TAKE = text("SELECT pg_advisory_xact_lock(:number)")


async def take(connection: AsyncConnection, number: int) -> None:
    """Wait for the lock *number*."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_TAKE, {"number": number})
