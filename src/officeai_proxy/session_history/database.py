"""Sessions as conversations of the proxy's own database, by the proxy's own repositories.

What an agent writes here the proxy lists, searches and exports, and what the proxy recorded is read
here. It never serves HTTP, and no query of its own is in it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from typing_extensions import override

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import NotFound, ProxyError
from officeai_proxy.model import DEFAULT_WORKSPACE, Caller, Conversation
from officeai_proxy.session_history.messages import Message, Session, openai_message, read_message
from officeai_proxy.session_history.semantics import Key, StoredSessionHistoryService
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.conversations.messages import MessageRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.wire.messages import new_messages

KEY_ID = "session_history"
"""Who did it, where a caller's key would stand."""

CONNECTIONS = 5

_PAGE = 1000


class DatabaseSessionHistoryService(StoredSessionHistoryService):
    """Sessions in the tables of the proxy, which may serve the same database meanwhile.

    An object belongs to the event loop that first uses it.
    """

    def __init__(
        self,
        database_url: str,
        *,
        workspace: str = DEFAULT_WORKSPACE,
        encryption_keys: Mapping[str, bytes] | None = None,
        create_missing: bool = False,
    ) -> None:
        """Read the address; nothing is opened before the start or the first use.

        Args:
            database_url: `sqlite:///path` or `postgresql://…`, as `OFFICEAI_DATABASE_URL`.
            workspace: in which the sessions are; nothing of another is seen or changed.
            encryption_keys: those of the proxy, 32 bytes each by their ids, the one that seals
                first, as `load_settings().encryption_secrets` has them; absent: texts are plain.
            create_missing: whether a session that never was comes into being when it is asked for.

        Raises:
            ConfigurationError: the URL cannot be used.
        """
        super().__init__(create_missing=create_missing)
        self._database = Database(
            database_url, pool_size=CONNECTIONS, keys=MasterKeys.of(encryption_keys or {})
        )
        self._caller = Caller(KEY_ID, workspace)
        # A thousand tasks may want a connection at once; the pool would give up on most of them.
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._preparing = asyncio.Lock()
        self._is_prepared = False
        self._is_stopped = False

    @override
    async def start(self) -> None:
        """Bring the database's schema up to date.

        Raises:
            ConfigurationError: the database is newer than this code, or an encryption key is
                missing or wrong.
            DatabaseUnavailable: it cannot be reached.
        """
        self._is_stopped = False
        async with self._preparing:
            if not self._is_prepared:
                await prepare(self._database)
                self._is_prepared = True

    @override
    async def stop(self) -> None:
        """Close all connections."""
        self._is_stopped = True
        await self._database.close()

    @override
    async def health(self) -> bool:
        if self._is_stopped:
            return False
        try:
            await self.start()
            async with self._connections:
                await self._database.unlock()
                await self._database.ping()
        except ProxyError:
            return False
        return True

    @override
    async def _find(self, key: Key) -> Session | None:
        await self.start()
        session = _empty(key)
        async with self._connections, self._database.read() as connection:
            messages = MessageRepository(connection, self._caller)
            try:
                conversation = await ConversationRepository(connection, self._caller).find(
                    key.session_id, user_identifier=key.user_id
                )
            except NotFound:
                return None
            wanted: PageRequest | None = PageRequest(_PAGE)
            while wanted is not None:
                page = await messages.page(conversation, wanted)
                session.messages += [read_message(one.raw, role=one.role) for one in page.items]
                wanted = PageRequest(_PAGE, cursor=page.next_cursor) if page.has_more else None
        return session

    @override
    async def _all_of(self, user_id: str) -> list[Session]:
        await self.start()
        found: list[Conversation] = []
        async with self._connections, self._database.read() as connection:
            conversations = ConversationRepository(connection, self._caller)
            wanted: PageRequest | None = PageRequest(_PAGE)
            while wanted is not None:
                page = await conversations.page(ConversationFilter(user_identifier=user_id), wanted)
                found += page.items
                wanted = PageRequest(_PAGE, cursor=page.next_cursor) if page.has_more else None
        return [Session(id=one.session_id, user_id=user_id) for one in found]

    @override
    async def _create(self, key: Key) -> Session:
        await self.start()
        async with self._connections, self._database.write() as connection:
            await ConversationRepository(connection, self._caller).create(
                session_id=key.session_id,
                user_identifier=key.user_id,
                title=None,
                metadata={},
                now=_now(),
            )
        return _empty(key)

    @override
    async def _add(self, key: Key, messages: Sequence[Message]) -> None:
        await self.start()
        now = _now()
        new = new_messages(
            [openai_message(message) for message in messages], timestamp=now, model_name=None
        )
        async with self._connections, self._database.write() as connection:
            conversation = await ConversationRepository(connection, self._caller).find(
                key.session_id, user_identifier=key.user_id
            )
            await MessageRepository(connection, self._caller).append(conversation, new, now=now)

    @override
    async def _remove(self, key: Key) -> None:
        await self.start()
        async with self._connections, self._database.write() as connection:
            conversations = ConversationRepository(connection, self._caller)
            try:
                conversation = await conversations.find(key.session_id, user_identifier=key.user_id)
                await conversations.bin(conversation, now=_now())
            except NotFound:
                return

    @override
    async def _is_deleted(self, key: Key) -> bool:
        await self.start()
        async with self._connections, self._database.read() as connection:
            conversations = ConversationRepository(connection, self._caller)
            try:
                await conversations.find(
                    key.session_id, user_identifier=key.user_id, deleted=Deleted.ONLY
                )
            except NotFound:
                return False
        return True


def _empty(key: Key) -> Session:
    return Session(id=key.session_id, user_id=key.user_id)


def _now() -> datetime:
    return datetime.now(UTC)
