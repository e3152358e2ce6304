"""What keys use on which host, told and heard over PostgreSQL; SQLite has one host only."""

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, extract, func, select

from officeai_proxy.model import HostUse
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.engine.upsert import upsert
from officeai_proxy.storage.tables import key_use

HEARD = timedelta(seconds=62)
"""How long it counts what a host has told."""

KEPT = timedelta(hours=1)

_u = key_use.c

# Not the time at which the transaction began, which may have waited.
_NOW = func.clock_timestamp()


class KeyUseBoard:
    """The table in which hosts tell one another what their keys use."""

    def __init__(self, database: Database) -> None:
        """Use *database*, which is PostgreSQL."""
        self._database = database

    async def tell(self, host: str, uses: Sequence[HostUse]) -> None:
        """Put *uses* in the place of what *host* told of these accounts before.

        Raises:
            DatabaseUnavailable: the database cannot be reached right now.
        """
        rows = [
            {
                "host": host,
                "account": use.account,
                "told_at": _NOW,
                "running": use.running,
                "requests": json.dumps(use.requests),
                "tokens": json.dumps(use.tokens),
            }
            # Hosts that touch rows in one order cannot lock one another out.
            for use in sorted(uses, key=lambda use: use.account)
        ]
        told = upsert(key_use, "postgresql").values(rows)
        news = {name: told.excluded[name] for name in ("told_at", "running", "requests", "tokens")}
        async with self._database.write() as connection:
            await connection.execute(
                told.on_conflict_do_update(index_elements=[_u.host, _u.account], set_=news)
            )
            await connection.execute(delete(key_use).where(_u.told_at < _NOW - KEPT))

    async def hear(self, host: str) -> list[HostUse]:
        """What all hosts but *host* told in the last minute.

        Raises:
            DatabaseUnavailable: the database cannot be reached right now.
        """
        age = extract("epoch", _NOW - _u.told_at).label("age")
        rows = select(key_use, age).where(_u.host != host, _u.told_at > _NOW - HEARD)
        async with self._database.read() as connection:
            return [
                HostUse(
                    account=row.account,
                    # A host that has not told anything for a while may be dead, and its calls too.
                    running=row.running if row.age <= FRESH_SECONDS else 0,
                    requests=json.loads(row.requests),
                    tokens=json.loads(row.tokens),
                    age=max(0.0, float(row.age)),
                )
                for row in await connection.execute(rows)
            ]


FRESH_SECONDS = 5
