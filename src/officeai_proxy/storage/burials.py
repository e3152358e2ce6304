"""That a conversation or a person was erased, and when, to rows beside the tombstones of calls."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.storage.tables import tombstones

_t = tombstones.c


async def bury(connection: AsyncConnection, ids: Collection[UUID], *, now: datetime) -> None:
    """Remember that what *ids* stand for was erased at *now*, once more if it was before."""
    rows = [{"exchange_id": one, "deleted_at": now} for one in ids]
    is_sqlite = connection.dialect.name == "sqlite"
    new = sqlite.insert(tombstones) if is_sqlite else postgresql.insert(tombstones)
    again = new.on_conflict_do_update(
        index_elements=[_t.exchange_id], set_={"deleted_at": new.excluded.deleted_at}
    )
    await connection.execute(again, rows)


async def buried(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of *ids* was erased, of those that were."""
    if not ids:
        return {}
    found = await connection.execute(
        select(_t.exchange_id, _t.deleted_at).where(_t.exchange_id.in_(list(ids)))
    )
    return {row.exchange_id: row.deleted_at for row in found}
