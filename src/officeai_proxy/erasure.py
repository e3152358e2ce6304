"""A person in, all that is stored of them deleted; knows no request.

Conversations, the bin, the call log, what was set aside, and the names in the audit log. It is done
in small transactions, so that others can write meanwhile; when it breaks off in the middle, the
audit log says that it was begun, and doing it again does the rest.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

from officeai_proxy.audit import Trail
from officeai_proxy.burials import burial_of_user
from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Detail, Event
from officeai_proxy.storage.audit.log import anonymise, append
from officeai_proxy.storage.conversations import shortening
from officeai_proxy.storage.conversations.burials import bury, wait_for_recorders
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.shortening import shorten
from officeai_proxy.storage.conversations.users import UserRepository
from officeai_proxy.storage.database import Database

CALLS_AT_ONCE = 1000
"""How many lines of the call log one transaction deletes; others can write between two."""

CONVERSATIONS_AT_ONCE, MESSAGES_AT_ONCE = 50, 500
"""How many conversations one transaction deletes, and after how many messages it takes no more."""


class SetAside(Protocol):
    """Where exchanges are that could never be stored."""

    def has(self, *, workspace: str, user: str) -> bool:
        """Whether there are any of *user*."""

    def erase(
        self,
        *,
        workspace: str,
        user: str,
        session: str | None = None,
        until: datetime | None = None,
    ) -> int:
        """Delete those of *user* for good, or of one *session* of theirs; how many those were.

        With *until* only those that began up to then.
        """


@dataclass(slots=True)
class Erasure:
    """What was erased."""

    conversations: int = 0
    messages: int = 0
    calls: int = 0
    set_aside: int = 0


class Eraser:
    """Erases people for one caller."""

    def __init__(
        self,
        database: Database,
        caller: Caller,
        *,
        set_aside: SetAside,
        clock: Callable[[], datetime],
    ) -> None:
        """Erase in *database* and *set_aside*, inside the walls of *caller*."""
        self._database = database
        self._caller = caller
        self._set_aside = set_aside
        self._clock = clock

    async def run(self, user: str, trail: Trail) -> Erasure:
        """Erase *user*, and leave on *trail* that it was done.

        Raises:
            NotFound: nothing is there of *user*, or they are not the caller's.
        """
        async with self._database.read() as connection:
            await self._check_known(UserRepository(connection, self._caller), user)
        async with self._database.write() as connection:
            await wait_for_recorders(connection)
            burial = burial_of_user(self._caller.workspace, user)
            await bury(connection, [burial], now=self._clock())
            await append(connection, _sealed(trail, user, {"stage": "begun"}))
        erased = Erasure(messages=await self._shorten(user))
        while some := await self._erase_some(user):
            erased.conversations += len(some)
            erased.messages += sum(some)
        erased.calls = await self._erase_calls(user) + await self._erase_unnamed_calls(user)
        erased.set_aside = self._set_aside.erase(workspace=self._caller.workspace, user=user)
        await self._finish(user, erased, trail)
        return erased

    async def _check_known(self, users: UserRepository, user: str) -> None:
        """Make sure that there is something of *user*, if only a call that was never stored."""
        try:
            await users.check_known(user)
        except NotFound:
            if not self._set_aside.has(workspace=self._caller.workspace, user=user):
                raise

    async def _shorten(self, user: str) -> int:
        """Leave of long conversations what one transaction erases; how many messages went."""
        async with self._database.read() as connection:
            users = UserRepository(connection, self._caller)
            long = await users.long_conversations(user, above=shortening.AT_ONCE)
        gone = 0
        for one in long:
            left = await shorten(self._database, self._caller, one, now=self._clock())
            gone += one.message_count - left.message_count
        return gone

    async def _erase_some(self, user: str) -> list[int]:
        """Erase a few conversations; how many messages each had, nothing when none is left."""
        some: list[int] = []
        async with self._database.write() as connection:
            users = UserRepository(connection, self._caller)
            repository = ConversationRepository(connection, self._caller)
            for one in await users.some_conversations(user, limit=CONVERSATIONS_AT_ONCE):
                await repository.erase(one, now=self._clock())
                some.append(one.message_count)
                if sum(some) >= MESSAGES_AT_ONCE:
                    break
        return some

    async def _erase_calls(self, user: str) -> int:
        """Erase what the call log has of *user* beyond the conversations."""
        total = 0
        while True:
            async with self._database.write() as connection:
                users = UserRepository(connection, self._caller)
                count = await users.erase_calls(user, limit=CALLS_AT_ONCE, now=self._clock())
            total += count
            if count < CALLS_AT_ONCE:
                return total

    async def _erase_unnamed_calls(self, address: str) -> int:
        """The same of calls that name nobody, if *address* is what stands for their user."""
        total, last = 0, None
        while True:
            async with self._database.read() as connection:
                users = UserRepository(connection, self._caller)
                some = await users.unnamed_calls(address, behind=last, limit=CALLS_AT_ONCE)
            if not some:
                return total
            async with self._database.write() as connection:
                users = UserRepository(connection, self._caller)
                total += await users.erase_unnamed(some, now=self._clock())
            last = some[-1]

    async def _finish(self, user: str, erased: Erasure, trail: Trail) -> None:
        """Strike the name out of the audit log, and leave the row that proves the erasure."""
        async with self._database.write() as connection:
            workspace = self._caller.workspace
            struck = await anonymise(connection, workspace=workspace, user=user)
            detail: Detail = {"stage": "ended", **asdict(erased), "anonymised": struck}
            await append(connection, _sealed(trail, user, detail))


def _sealed(trail: Trail, user: str, detail: Detail) -> Event:
    return trail.event(
        action=Action.ERASE_USER, user=user, target=user, is_sealed=True, detail=detail
    )
