"""Every query over the call log, inside one caller's walls; numbers and names, never content."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import Caller, CallRecord
from officeai_proxy.storage.calls.filter import CallFilter, conditions_of
from officeai_proxy.storage.paging import PageRequest, Stretch, cut, newest_first
from officeai_proxy.storage.rows import call_of
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.storage.walls import inside

__all__ = ["CallFilter", "CallRepository"]

_LISTING = "calls"

_x = exchanges.c


class CallRepository:
    """The calls that one caller may see; a caller bound to a user sees that user's only."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, exchanges)

    async def page(self, wanted: CallFilter, page: PageRequest) -> Stretch[CallRecord]:
        """A page of calls, newest first; not counted, because a log of millions takes long to.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
        """
        rows = select(exchanges).where(self._mine, *conditions_of(wanted))
        limited = newest_first(rows, page, _LISTING, _x.started_at, _x.id)
        found = (await self._connection.execute(limited)).all()
        shown, cursor = cut(found, page, _LISTING, lambda row: (row.started_at, row.id))
        sealer = sealer_of(self._connection)
        return Stretch(items=[call_of(row, sealer) for row in shown], next_cursor=cursor)
