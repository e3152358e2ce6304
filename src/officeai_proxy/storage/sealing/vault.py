"""Keys of the configuration in, the sealer of one database out; refuses keys that do not fit.

The table `encryption_keys` has a row for each key that texts may be sealed with: the database's own
secret, sealed with that key. A key that does not open its row is the wrong one, and nothing is read
or written. Which row is the current one is looked at in every transaction that writes, so that no
process goes on sealing with a key that is about to be dropped.
"""

import base64
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, exists, insert, inspect, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.boxes import KEY_BYTES
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import ConfigurationError, DatabaseUnavailable, Unopenable
from officeai_proxy.storage.engine import advisory_locks
from officeai_proxy.storage.rows import AnyRow
from officeai_proxy.storage.tables import (
    conversation_messages,
    conversations,
    encryption_keys,
    exchanges,
)

OPTION = "officeai_vault"
"""The execution option in which a connection carries its vault."""

SETTING = "OFFICEAI_ENCRYPTION_KEYS"

_k = encryption_keys.c


def sealer_of(connection: AsyncConnection | Connection) -> Sealer | None:
    """What seals and opens the texts on *connection*; None when they are plain."""
    plain = connection.sync_connection if isinstance(connection, AsyncConnection) else connection
    vault = None if plain is None else plain.get_execution_options().get(OPTION)
    return vault.sealer if isinstance(vault, Vault) else None


class Vault:
    """The keys for one database, and what has become of them. It is shut until `admit`."""

    def __init__(self, keys: MasterKeys | None) -> None:
        """Without *keys* texts are plain."""
        self.keys = keys
        self.sealer: Sealer | None = None
        self.is_open = False

    async def admit(self, connection: AsyncConnection) -> bool:
        """Look whether the keys are right; whether nothing has to be written to begin.

        A database without a schema holds nothing sealed. It is not admitted for good, because the
        schema may come any moment.

        Raises:
            ConfigurationError: a key is missing or wrong.
            DatabaseUnavailable: there are keys, and no schema to keep them.
        """
        if self.keys is None and not await connection.run_sync(_has_schema):
            return True
        known = (await connection.execute(select(encryption_keys).order_by(_k.key_id))).all()
        if self.keys is None:
            self._refuse_without_keys(known)
            self.is_open = True
            return True
        secret = self._secret_of(known, self.keys)
        current = next((row for row in known if row.is_current), None)
        if secret is None or current is None or current.key_id != self.keys.first:
            return False
        self._open(self.keys, secret, takes_plain=current.takes_plain)
        return True

    async def begin(self, connection: AsyncConnection) -> None:
        """Make the first key of the configuration the current one, in a transaction that writes.

        Raises:
            ConfigurationError: a key is missing or wrong.
        """
        await advisory_locks.take(connection, advisory_locks.KEYS)
        if self.keys is None or await self.admit(connection):
            return
        known = (await connection.execute(select(encryption_keys).with_for_update())).all()
        secret = self._secret_of(known, self.keys)
        if secret is None:
            secret, takes_plain = os.urandom(KEY_BYTES), await _has_texts(connection)
        else:
            takes_plain = any(row.takes_plain for row in known)
        await connection.execute(update(encryption_keys).values(is_current=False))
        await self._note(connection, self.keys, secret, takes_plain=takes_plain, known=known)
        self._open(self.keys, secret, takes_plain=takes_plain)

    def shut(self) -> None:
        """Forget what was admitted: the keys are looked at again before anything else."""
        self.sealer = None
        self.is_open = False

    async def confirm(self, connection: AsyncConnection) -> None:
        """Seal with the key that the database says, now that *connection* is about to write.

        On PostgreSQL the row stays locked until the end, so that whoever changes the key waits.

        Raises:
            DatabaseUnavailable: that key is not among ours; another configuration is in force.
        """
        if self.keys is None or self.sealer is None:
            return
        current = (await connection.execute(_CURRENT)).one_or_none()
        if current is None or current.key_id not in self.keys:
            key = None if current is None else current.key_id
            raise DatabaseUnavailable(
                f"The database is now sealed with the key {key!r}, which this process does not "
                f"have: start it again with that key in {SETTING}."
            )
        now = (current.key_id, current.takes_plain)
        if now != (self.sealer.current, self.sealer.takes_plain):
            self.sealer = self.sealer.with_current(now[0], takes_plain=now[1])

    def _open(self, keys: MasterKeys, secret: bytes, *, takes_plain: bool) -> None:
        self.sealer = Sealer(keys, current=keys.first, secret=secret, takes_plain=takes_plain)
        self.is_open = True

    async def _note(
        self,
        connection: AsyncConnection,
        keys: MasterKeys,
        secret: bytes,
        *,
        takes_plain: bool,
        known: Sequence[AnyRow],
    ) -> None:
        """Write the row of the first key, or say that its row is the current one."""
        values = {"is_current": True, "takes_plain": takes_plain}
        if any(row.key_id == keys.first for row in known):
            row = update(encryption_keys).where(_k.key_id == keys.first)
            await connection.execute(row.values(values))
            return
        box = keys.boxes("wrapping")[keys.first]
        sealed = base64.b64encode(box.seal(secret, _place(keys.first))).decode()
        await connection.execute(
            insert(encryption_keys).values(
                key_id=keys.first, wrapped=sealed, created_at=datetime.now(UTC), **values
            )
        )

    def _refuse_without_keys(self, known: Sequence[AnyRow]) -> None:
        if known:
            names = ", ".join(repr(row.key_id) for row in known)
            raise ConfigurationError(
                f"{SETTING}: the database is encrypted with the key {names}; give that key"
            )

    def _secret_of(self, known: Sequence[AnyRow], keys: MasterKeys) -> bytes | None:
        """The database's secret; None when it has none yet. Each row must open."""
        secret: bytes | None = None
        boxes = keys.boxes("wrapping")
        for row in known:
            if row.key_id not in keys:
                raise ConfigurationError(
                    f"{SETTING}: the key {row.key_id!r} is missing; what is stored needs it until "
                    "`officeai-proxy db rotate` has said that it can be dropped"
                )
            try:
                sealed = base64.b64decode(row.wrapped)
                secret = boxes[row.key_id].open(sealed, _place(row.key_id))
            except (Unopenable, ValueError):
                raise ConfigurationError(
                    f"{SETTING}: the key {row.key_id!r} is not the one that the database was "
                    "encrypted with"
                ) from None
        return secret


def _place(key_id: str) -> bytes:
    return f"encryption_keys.wrapped/{key_id}".encode()


def _has_schema(connection: Connection) -> bool:
    return inspect(connection).has_table(encryption_keys.name)


async def _has_texts(connection: AsyncConnection) -> bool:
    """Whether anything is stored that may be plain."""
    for table in (conversation_messages, conversations, exchanges):
        if await connection.scalar(select(exists(select(table.c.id)))):
            return True
    return False


_CURRENT = (
    select(_k.key_id, _k.takes_plain).where(_k.is_current == true()).with_for_update(read=True)
)
