"""Every query over managed keys; stores digests and never sees a key itself."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import Conflict, KeyMade, NotFound
from officeai_proxy.model import ApiKey, Caller, Limits
from officeai_proxy.storage.paging import Page, PageRequest, cut, read_cursor
from officeai_proxy.storage.rows import api_key_of
from officeai_proxy.storage.tables import api_keys
from officeai_proxy.storage.walls import inside

_k = api_keys.c

_LISTING = "keys"

AT_ONCE = 200
"""Keys that are read before other work has its turn: calls must not wait for thousands of them."""


class ApiKeyRepository:
    """The managed keys. Who may touch which is decided by whoever calls this."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Work inside the transaction of *connection*."""
        self._connection = connection

    async def add(self, key: ApiKey) -> None:
        """Store a new key.

        Raises:
            KeyMade: its id or its digest is there already.
        """
        limits = key.limits or Limits()
        row = insert(api_keys).values(
            id=key.id,
            name=key.name,
            digest=key.digest,
            hint=key.hint,
            workspace=key.workspace,
            scopes=",".join(sorted(key.scopes)),
            user_identifier=key.user,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            rpm=limits.rpm,
            tpm=limits.tpm,
            concurrency=limits.concurrency,
            replaces=key.replaces,
        )
        try:
            await self._connection.execute(row)
        except IntegrityError as exc:
            raise KeyMade from exc

    async def all(self) -> list[ApiKey]:
        """The keys of all workspaces, revoked ones too, oldest first."""
        rows = select(api_keys).order_by(_k.created_at, _k.id)
        return [api_key_of(row) for row in await self._connection.execute(rows)]

    async def active(self, now: datetime, *, at_once: int = AT_ONCE) -> list[ApiKey]:
        """The keys that open something at *now*, read some *at_once*."""
        rows = select(api_keys).where(
            _k.revoked_at.is_(None), or_(_k.expires_at.is_(None), _k.expires_at > now)
        )
        rows = rows.order_by(_k.id).limit(at_once)
        found: list[ApiKey] = []
        while len(found) % at_once == 0:
            wanted = rows.where(_k.id > found[-1].id) if found else rows
            some = [api_key_of(row) for row in await self._connection.execute(wanted)]
            if not some:
                break
            found += some
        return found

    async def page(self, caller: Caller, wanted: PageRequest) -> Page[ApiKey]:
        """The keys behind the wall of *caller*, revoked ones too, oldest first."""
        visible = inside(caller, api_keys)
        total = await self._connection.scalar(select(func.count(_k.id)).where(visible))
        rows = select(api_keys).where(visible).order_by(_k.created_at, _k.id)
        if wanted.cursor is not None:
            rows = rows.where(_after(wanted.cursor))
        rows = rows.offset(wanted.offset).limit(wanted.limit + 1)
        found = (await self._connection.execute(rows)).all()
        shown, cursor = cut(found, wanted, _LISTING, lambda row: (row.created_at, row.id))
        return Page(items=[api_key_of(row) for row in shown], next_cursor=cursor, total=total or 0)

    async def find(
        self, key_id: str, caller: Caller | None = None, *, lock: bool = False
    ) -> ApiKey:
        """The key *key_id*; with *lock* nobody else changes it before this transaction ends.

        Raises:
            NotFound: there is none, or *caller* is on the other side of a wall.
        """
        wanted = select(api_keys).where(_k.id == key_id)
        if caller is not None:
            wanted = wanted.where(inside(caller, api_keys))
        found = await self._connection.execute(wanted.with_for_update() if lock else wanted)
        row = found.one_or_none()
        if row is None:
            raise NotFound(
                "There is no key of this id; the list of keys has the `id` of each.", param="key_id"
            )
        return api_key_of(row)

    async def first_end(self, key: ApiKey) -> datetime | None:
        """When *key* was to end before any rotation; None: never.

        A rotation shortens the life of the key that it replaces and of no other, so it is the
        latest end of all that took one another's place.
        """
        family = or_(_k.id == key.account, _k.replaces == key.account)
        ends = (await self._connection.execute(select(_k.expires_at).where(family))).scalars().all()
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None

    async def take_over(self, old: ApiKey, new: ApiKey, *, now: datetime, until: datetime) -> None:
        """Store *new* in the place of *old*, which works *until* then.

        Raises:
            Conflict: the old key is no longer in force.
            KeyMade: the new one is there already.
        """
        if not old.is_active(now):
            raise Conflict(
                "This key is not in force any more and cannot be rotated; make a new one."
            )
        await self.add(new)
        # A key without any overlap is revoked rather than expired: that is what the list says.
        ends = {"expires_at": until} if until > now else {"revoked_at": now}
        await self._connection.execute(update(api_keys).where(_k.id == old.id).values(ends))

    async def revoke(self, key_id: str, *, now: datetime) -> bool:
        """Make a key worthless; whether there was one that still was not."""
        valid = update(api_keys).where(_k.id == key_id, _k.revoked_at.is_(None))
        return (await self._connection.execute(valid.values(revoked_at=now))).rowcount > 0


def _after(cursor: str) -> ColumnElement[bool]:
    created_at, key_id = read_cursor(cursor, _LISTING, (datetime, str))
    return or_(_k.created_at > created_at, and_(_k.created_at == created_at, _k.id > key_id))
