"""The call log, however long, to one answer that is whole or breaks off and looks broken off.

It is read in pages by key, each a short transaction of its own, so that a slow client holds one
page and no connection to the database.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from fastapi import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from officeai_proxy.api.dependencies import Services, Slots
from officeai_proxy.api.values import MAX_LIMIT
from officeai_proxy.history.call_lines import CallLine
from officeai_proxy.history.pieces import send_while_wanted
from officeai_proxy.model import Caller, CallRecord
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.paging import PageRequest, Stretch

Written = Callable[[Sequence[CallLine]], str]
"""Lines of the log to text."""


class CallPages:
    """The pages of the log that one caller asked for, newest first."""

    def __init__(self, services: Services, caller: Caller, wanted: CallFilter) -> None:
        """Read what is *wanted* inside the walls of *caller*."""
        self._services = services
        self._caller = caller
        self._wanted = wanted

    async def page(self, cursor: str | None, *, limit: int = MAX_LIMIT) -> Stretch[CallRecord]:
        """One page behind *cursor*."""
        async with self._services.database.read() as connection:
            repository = CallRepository(connection, self._caller)
            return await repository.page(self._wanted, PageRequest(limit, cursor=cursor))

    async def behind(
        self, first: Stretch[CallRecord], write: Written
    ) -> AsyncGenerator[bytes, None]:
        """The text of *first* and of all pages behind it."""
        page = first
        while True:
            yield await asyncio.to_thread(_text, page.items, write)
            if page.next_cursor is None:
                return
            page = await self.page(page.next_cursor)


class CallStream(Response):
    """An answer in pieces; what fails in the middle leaves it without its end (RFC 9112, 8)."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        slots: Slots,
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        """Send *pieces*, in one of *slots*."""
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._pieces = pieces
        self._slots = slots

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer (ASGI specification)."""
        with self._slots.one():
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await send_while_wanted(self._pieces, send, receive, what="a call log")


def _text(records: Sequence[CallRecord], write: Written) -> bytes:
    return write([CallLine.of(record) for record in records]).encode()
