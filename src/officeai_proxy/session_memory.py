"""A session's name in, the newest messages of its path out, for clients without memory; never waits
for longer than a reader does.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from officeai_proxy.errors import AmbiguousSession, NotFound
from officeai_proxy.model import FAILED, Caller, Conversation, JsonObject, Role
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository, Order
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest


@dataclass(frozen=True, slots=True)
class NewestMessages:
    """The newest messages of a session's path, oldest first, and whether the last is only half."""

    messages: Sequence[JsonObject] = ()
    is_broken_off: bool = False


class StoredSessions:
    """What the database holds of sessions, inside the walls of whoever asks."""

    def __init__(self, database: Database, *, wait: Callable[[], Awaitable[None]]) -> None:
        """Read *database*; *wait* returns when what was recorded until now is in it."""
        self._database = database
        self._wait = wait

    async def newest(
        self, caller: Caller, session: str, user: str | None, *, client_ip: str, count: int
    ) -> NewestMessages:
        """The newest *count* messages of the session's path as OpenAI has them, oldest first.

        Empty when there is no such conversation yet. Without *user* the only conversation of the
        session is meant, and with several the one of *client_ip*, as when a call is recorded.

        Raises:
            DatabaseUnavailable: they cannot be read at the moment.
        """
        await self._wait()
        async with self._database.read() as connection:
            found = await self._find(
                ConversationRepository(connection, caller), session, user, client_ip=client_ip
            )
            if found is None:
                return NewestMessages()
            page = await MessageRepository(connection, caller).page(
                found, PageRequest(limit=count), order=Order.DESC
            )
        leaf = page.items[0] if page.items else None
        return NewestMessages(
            [message.raw for message in reversed(page.items)],
            is_broken_off=leaf is not None
            and leaf.role == Role.ASSISTANT
            and leaf.metadata.get("outcome") in FAILED,
        )

    async def _find(
        self,
        conversations: ConversationRepository,
        session: str,
        user: str | None,
        *,
        client_ip: str,
    ) -> Conversation | None:
        try:
            return await conversations.find(session, user_identifier=user)
        except AmbiguousSession:
            return await self._find(conversations, session, client_ip, client_ip=client_ip)
        except NotFound:
            return None
