"""What is too old or was long enough in the bin, in every workspace: counted, found, deleted.

Nothing here decides how old that is. Deleting is done a few at a time, and only while nothing has
changed since it was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller, Conversation
from officeai_proxy.storage.conversations.burials import erase_calls
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.listing import is_as_it_was
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS, conversation_of
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import chores, conversations, exchanges

_c = conversations.c
_x = exchanges.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What goes: what had its last activity before `before`; what is in the bin since before
    `binned_before`. None: nothing goes for that reason.
    """

    before: datetime | None = None
    binned_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much of one workspace goes, or has gone; `calls` are those of the conversations too."""

    workspace: str
    conversations: int = 0
    messages: int = 0
    calls: int = 0

    def with_more(self, *, conversations: int = 0, messages: int = 0, calls: int = 0) -> "Amount":
        """This and so much more."""
        return Amount(
            workspace=self.workspace,
            conversations=self.conversations + conversations,
            messages=self.messages + messages,
            calls=self.calls + calls,
        )


class RetentionRepository:
    """What is due in the database as a whole."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Work inside the transaction of *connection*."""
        self._connection = connection

    async def amounts(self, due: Due) -> list[Amount]:
        """How much is due, for each workspace that has something, by name."""
        found = await self._connection.execute(
            select(_c.workspace, func.count(), func.sum(_c.message_count))
            .where(_is_due(due))
            .group_by(_c.workspace)
        )
        amounts = {
            name: Amount(workspace=name, conversations=count, messages=int(messages))
            for name, count, messages in found
        }
        counted = select(_x.workspace, func.count()).group_by(_x.workspace)
        tests: list[ColumnElement[bool]] = [
            _x.conversation_id.in_(select(_c.id).where(_is_due(due)))
        ]
        if due.before is not None:
            tests.append(_is_old_call(due.before))
        for test in tests:
            for name, count in await self._connection.execute(counted.where(test)):
                known = amounts.get(name, Amount(workspace=name))
                amounts[name] = known.with_more(calls=count)
        return [amounts[name] for name in sorted(amounts)]

    async def find(
        self, due: Due, *, workspace: str, above: int, limit: int, in_bin: bool
    ) -> list[Conversation]:
        """At most *limit* conversations that are due, in the bin or not, with ids over *above*."""
        state = _c.deleted_at.is_not(None) if in_bin else _c.deleted_at.is_(None)
        rows = (
            select(*CONVERSATION_COLUMNS)
            .where(_is_due(due), _c.workspace == workspace, state, _c.id > above)
            .order_by(_c.id)
            .limit(limit)
        )
        sealer = sealer_of(self._connection)
        return [conversation_of(row, sealer) for row in await self._connection.execute(rows)]

    async def erase(self, found: Sequence[Conversation], *, now: datetime) -> Amount:
        """Delete those of *found* for good that are as they were; how much that was.

        All of them are in the workspace of the first.
        """
        unchanged = [and_(*is_as_it_was(one)) for one in found]
        locked = select(_c.id).where(or_(*unchanged)).order_by(_c.id).with_for_update()
        ids = set((await self._connection.execute(locked)).scalars())
        gone = Amount(workspace=found[0].workspace)
        repository = ConversationRepository(self._connection, Caller("", gone.workspace))
        for one in found:
            if one.id in ids:
                try:
                    calls = await repository.erase(one, now=now, is_asked=False)
                except NotFound:
                    continue
                gone = gone.with_more(conversations=1, messages=one.message_count, calls=calls)
        return gone

    async def erase_calls(
        self, *, workspace: str, before: datetime, limit: int, now: datetime
    ) -> int:
        """Delete at most *limit* old calls that belong to no conversation; how many there were."""
        old = select(_x.id).where(_is_old_call(before), _x.workspace == workspace).limit(limit)
        ids = (await self._connection.execute(old)).scalars().all()
        return await erase_calls(self._connection, _x.id.in_(ids), now=now) if ids else 0

    async def claim(self, chore: str, *, now: datetime, every: timedelta) -> bool:
        """Take over *chore*, unless somebody began it less than *every* ago.

        One that was begun further ahead than clocks differ was begun by a clock that was wrong:
        without this, nothing would be done until the right one has caught up.
        """
        begun = chores.c.begun_at
        is_free = or_(begun <= now - every, begun > now + every)
        free = update(chores).where(chores.c.name == chore, is_free)
        return (await self._connection.execute(free.values(begun_at=now))).rowcount > 0


def _is_due(due: Due) -> ColumnElement[bool]:
    tests: list[ColumnElement[bool]] = []
    if due.before is not None:
        tests.append(_c.updated_at < due.before)
    if due.binned_before is not None:
        tests.append(_c.deleted_at < due.binned_before)
    return or_(false(), *tests)


def _is_old_call(before: datetime) -> ColumnElement[bool]:
    """A call of a conversation goes with it."""
    return and_(_x.conversation_id.is_(None), _x.started_at < before)
