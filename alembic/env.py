"""What Alembic runs: on the connection it is given, else on the database of the settings."""

import asyncio

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from officeai_proxy.settings import load_settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.alembic_runner import is_compared, is_for
from officeai_proxy.storage.tables import UtcDateTime, schema


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """Write types of this project as plain ones: a migration must outlive the code around it."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def migrate(connection: Connection) -> None:
    """Run the migrations inside the transaction of *connection*."""
    context.configure(
        connection=connection,
        target_metadata=schema(connection.dialect.name),
        # SQLite changes a table by making a new one.
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        include_name=is_compared,
        include_object=is_for(connection.dialect.name),
    )
    with context.begin_transaction():
        context.run_migrations()


async def migrate_configured() -> None:
    """Run the migrations on the database that the settings name."""
    async with Database(load_settings().database).alter() as connection:
        await connection.run_sync(migrate)


if context.is_offline_mode():
    # Some revisions read what is stored and move it, which no text of SQL can.
    raise CommandError("--sql is not supported: these migrations run on a database only")

given = context.config.attributes.get("connection")
if given is None:
    asyncio.run(migrate_configured())
else:
    migrate(given)
