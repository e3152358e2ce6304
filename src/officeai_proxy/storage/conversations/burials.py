"""That a conversation or a person was erased, and when, to rows beside the tombstones of calls."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.storage.engine.advisory_locks import RECORDING, take
from officeai_proxy.storage.engine.driver_values import id_list, moment_of, select_by_ids, uuid_of
from officeai_proxy.storage.engine.upsert import upsert
from officeai_proxy.storage.tables import exchanges, tombstones

_t = tombstones.c

AS_RECORDER = f"NULLIF(CAST(pg_advisory_xact_lock_shared({RECORDING}) AS text), '')"
"""PostgreSQL: null, once no erasure is on its way; those that come wait for this transaction."""


async def wait_for_recorders(connection: AsyncConnection) -> None:
    """Let those who store calls finish, and others begin once this transaction is committed.

    For erasures, before they lock anything: the former have seen no grave yet, and what they begin
    cannot be seen either.
    """
    await take(connection, RECORDING)


async def bury(
    connection: AsyncConnection,
    ids: Collection[UUID],
    *,
    now: datetime,
    keeps_later: bool = False,
) -> None:
    """Remember that what *ids* stand for was erased at *now*, once more if it was before.

    With *keeps_later* a later moment that is remembered stays.
    """
    rows = [{"exchange_id": one, "deleted_at": now} for one in ids]
    new = upsert(tombstones, connection.dialect.name)
    again = new.on_conflict_do_update(
        index_elements=[_t.exchange_id],
        set_={"deleted_at": new.excluded.deleted_at},
        where=_t.deleted_at < new.excluded.deleted_at if keeps_later else None,
    )
    await connection.execute(again, rows)


async def erase_calls(
    connection: AsyncConnection, *these: ColumnElement[bool], now: datetime
) -> int:
    """Delete the lines of the call log for which all of *these* hold; how many there were.

    The ids stay behind, so that a journal that is read again does not bring them back.
    """
    ids = select(exchanges.c.exchange_id, literal(now, _t.deleted_at.type)).where(*these)
    names = ["exchange_id", "deleted_at"]
    await connection.execute(insert(tombstones).from_select(names, ids))
    return (await connection.execute(delete(exchanges).where(*these))).rowcount


async def buried(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of *ids* was erased, of those that were."""
    if not ids:
        return {}
    dialect = connection.dialect.name
    wanted = id_list(ids, dialect=dialect)
    found = await connection.exec_driver_sql(_FIND[dialect], (wanted,))
    return {uuid_of(row.exchange_id): moment_of(row.deleted_at) for row in found}


_FIND = select_by_ids("exchange_id, deleted_at", "tombstones", key="exchange_id", kind="uuid")
