"""Every query over visits of the page: sessions, and links that open one; digests, never a token.

A visit stands for a key and never lives longer than it: what it may do is asked of the key each
time, here only which key it was.
"""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import ApiKey
from officeai_proxy.storage.rows import AnyRow, api_key_of
from officeai_proxy.storage.tables import api_keys, page_visits

_v = page_visits.c


class VisitKind(StrEnum):
    """What a token opens: the page until it expires, or one session."""

    SESSION = "session"
    INVITATION = "invitation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageVisit:
    """A token of the page as it is stored. `digest` is its SHA-256.

    `binding` ties it to the very key it was made with, where the key's id alone would not: the id
    of a configured key is its place in a list.
    """

    digest: bytes
    kind: VisitKind
    key_id: str
    created_at: datetime
    expires_at: datetime
    binding: bytes | None = None


class PageVisitRepository:
    """The visits of everybody; a visit is found only by whoever has its token."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Work inside the transaction of *connection*."""
        self._connection = connection

    async def add(self, visit: PageVisit) -> None:
        """Store a new visit."""
        row = {**asdict(visit), "kind": visit.kind.value}
        await self._connection.execute(insert(page_visits).values(row))

    async def find(self, digest: bytes, *, kind: VisitKind, now: datetime) -> PageVisit | None:
        """The visit whose token has this digest, unless it is over."""
        wanted = select(page_visits).where(
            _v.digest == digest,
            _v.kind == kind.value,
            _v.revoked_at.is_(None),
            _v.expires_at > now,
        )
        row = (await self._connection.execute(wanted)).one_or_none()
        return None if row is None else _visit(row)

    async def key_of(self, visit: PageVisit) -> ApiKey | None:
        """The managed key that *visit* stands for, whether it still opens anything or not."""
        wanted = select(api_keys).where(api_keys.c.id == visit.key_id)
        row = (await self._connection.execute(wanted)).one_or_none()
        return None if row is None else api_key_of(row)

    async def end(self, digest: bytes, *, now: datetime) -> bool:
        """End a visit; whether it was not over before, so that an invitation opens only once."""
        live = update(page_visits).where(
            _v.digest == digest, _v.revoked_at.is_(None), _v.expires_at > now
        )
        return (await self._connection.execute(live.values(revoked_at=now))).rowcount > 0

    async def forget(self, *, now: datetime) -> None:
        """Delete what has expired."""
        await self._connection.execute(delete(page_visits).where(_v.expires_at <= now))


def _visit(row: AnyRow) -> PageVisit:
    values = {one.name: getattr(row, one.name) for one in fields(PageVisit)}
    return PageVisit(**{**values, "kind": VisitKind(row.kind)})
