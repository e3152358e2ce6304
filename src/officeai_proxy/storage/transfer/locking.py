"""Names of conversations in, all that is stored under them locked, on PostgreSQL; reads nothing.

For imports into the bin. SQLite has one writer.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import Caller
from officeai_proxy.storage.engine import advisory_locks
from officeai_proxy.storage.tables import conversations
from officeai_proxy.storage.walls import inside
from officeai_proxy.wire.identity import identity

Name = tuple[str, str]
"""A session and its user."""

_c = conversations.c


async def lock_names(
    connection: AsyncConnection, caller: Caller, names: Sequence[Name], *, binned: Collection[Name]
) -> None:
    """Lock what has one of *names*; whoever imports *binned* into the bin as well finishes first.

    No index keeps single there what several begin. What is in the bin is looked up one by one, in
    the order of the file: locked like that, it would be waited for by somebody for whom we wait.
    So all is locked before, in the order of ids, as others do.
    """
    if connection.dialect.name != "postgresql":
        return
    for name in sorted(binned):
        number = identity({"role": "", "content": "/".join((caller.workspace, *name))})
        await advisory_locks.take(connection, number)
    named = tuple_(_c.session_id, _c.user_identifier).in_(names)
    # Each of the two indexes of sessions is about one of the states.
    in_state = (_c.deleted_at.is_(None), _c.deleted_at.is_not(None))
    lives = or_(*(and_(named, state) for state in in_state))
    wanted = select(_c.id).where(inside(caller, conversations), lives).order_by(_c.id)
    locked: set[int] = set()
    while (found := set(await connection.scalars(wanted.with_for_update()))) - locked:
        # While one of them was waited for, others may have come.
        locked = found
