"""Whether the database's account may do what the program will ask of it; changes nothing.

SQLite has no accounts: its file can be written or it cannot, and opening it tells.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.tables import metadata

# A schema that is not there, or that may not be used, is none (PostgreSQL manual 9.26).
_MAKES_TABLES = """
    SELECT current_user, current_schema(),
        COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)
"""

_OURS = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname = ANY(:names)
"""

# Only the owner of a table may change it.
_OWNED_BY_OTHERS = f"{_OURS} AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1 LIMIT 1"

_KEPT_FROM = f"""{_OURS} AND NOT (
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
) ORDER BY 1 LIMIT 1"""


async def missing_right(database: Database, *, is_current: bool) -> str | None:
    """A right that the account lacks, in a sentence; None when it has what it needs.

    It has to change the schema as well, where that *is_current* not.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    if database.dialect is Dialect.SQLITE:
        return None
    async with database.peek() as connection:
        return await (_to_use(connection) if is_current else _to_change(connection))


async def _to_change(connection: AsyncConnection) -> str | None:
    account, schema, may_create = (await connection.execute(text(_MAKES_TABLES))).one()
    if not may_create:
        place = f"in the schema {schema!r}" if schema else "in any schema of its search_path"
        return f"the account {account!r} may not make tables {place}; grant it CREATE there"
    table = await _first(connection, _OWNED_BY_OTHERS)
    if table is not None:
        return f"the account {account!r} does not own the table {table!r} and cannot change it"
    return None


async def _to_use(connection: AsyncConnection) -> str | None:
    table = await _first(connection, _KEPT_FROM)
    if table is None:
        return None
    return f"the account may not read and write the table {table!r}; grant it SELECT, INSERT, " + (
        "UPDATE and DELETE on all tables"
    )


async def _first(connection: AsyncConnection, query: str) -> str | None:
    names = {"names": list(metadata.tables)}
    found: str | None = (await connection.execute(text(query), names)).scalar()
    return found
