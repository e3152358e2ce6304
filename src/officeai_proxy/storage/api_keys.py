"""Every query over managed keys; stores digests and never sees a key itself."""

from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import ApiKey
from officeai_proxy.storage.rows import api_key_of
from officeai_proxy.storage.tables import api_keys

_k = api_keys.c


class ApiKeyRepository:
    """The managed keys. Who may touch which is decided by whoever calls this."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Work inside the transaction of *connection*."""
        self._connection = connection

    async def add(self, key: ApiKey) -> None:
        """Store a new key.

        Raises:
            IntegrityError: its id or its digest is there already; both are random, so it is the
                same key a second time.
        """
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
        )
        await self._connection.execute(row)

    async def all(self, *, workspace: str | None = None) -> list[ApiKey]:
        """All keys, revoked ones too, oldest first; of one workspace if it is given."""
        rows = select(api_keys).order_by(_k.created_at, _k.id)
        if workspace is not None:
            rows = rows.where(_k.workspace == workspace)
        return [api_key_of(row) for row in await self._connection.execute(rows)]

    async def active(self, now: datetime) -> list[ApiKey]:
        """The keys that open something at *now*."""
        rows = select(api_keys).where(
            _k.revoked_at.is_(None), or_(_k.expires_at.is_(None), _k.expires_at > now)
        )
        return [api_key_of(row) for row in await self._connection.execute(rows)]

    async def revoke(self, key_id: str, *, now: datetime, workspace: str | None = None) -> bool:
        """Make a key worthless; whether there was one that still was not."""
        valid = update(api_keys).where(_k.id == key_id, _k.revoked_at.is_(None))
        if workspace is not None:
            valid = valid.where(_k.workspace == workspace)
        return (await self._connection.execute(valid.values(revoked_at=now))).rowcount > 0
