"""An INSERT for rows that may be there already, in the words of one database; runs nothing.

SQLAlchemy loads all that it knows of a database with its INSERT: two megabytes and a fiftieth of a
second for PostgreSQL, which a program that records into SQLite never needs.
"""

import importlib
from typing import TYPE_CHECKING, cast

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def upsert(table: Table, dialect: str) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT into *table* that knows ON CONFLICT; *dialect* is `sqlite` or `postgresql`."""
    library = importlib.import_module(f"sqlalchemy.dialects.{dialect}")
    return cast("postgresql.Insert | sqlite.Insert", library.insert(table))
