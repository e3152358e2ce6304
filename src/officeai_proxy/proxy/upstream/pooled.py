"""Calls to the upstream over kept connections: straight, or through a forward proxy.

A request comes in and the reply's pieces go out as they arrive. No task and no timer is made for a
call, except a task for a request body that is streamed.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace

from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.connection import Connection, WentStale
from officeai_proxy.proxy.upstream.exchange import UpstreamAborted, UpstreamRequest
from officeai_proxy.proxy.upstream.forward_proxy import ForwardProxy
from officeai_proxy.proxy.upstream.inbox import Inbox, InboxReader
from officeai_proxy.proxy.upstream.pool import KEPT_SECONDS, ConnectionPool, PoolNumbers
from officeai_proxy.proxy.upstream.request_head import RequestForm, request_head
from officeai_proxy.proxy.upstream.timeouts import Timeouts
from officeai_proxy.proxy.upstream.upload import upload


class PooledUpstream:
    """The upstream at one base URL, and the connections to it."""

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        *,
        proxy: ForwardProxy | None = None,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        """The upstream at *base_url*, behind *proxy* if there is one; free connections are kept for
        *kept_seconds*.

        Raises:
            ConfigurationError: *base_url* is not an http or https URL.
        """
        self.address = Address.of(base_url)
        if proxy is not None:
            self.address = replace(self.address, proxy=str(proxy.address))
        self.form = proxy.form(self.address) if proxy else RequestForm(self.address.host_header)
        self.timeouts = timeouts
        self.pool = ConnectionPool(
            self.address, timeouts=timeouts, proxy=proxy, kept_seconds=kept_seconds
        )
        self.connecting: set[PooledExchange] = set()

    @property
    def numbers(self) -> PoolNumbers:
        """How many connections there are."""
        return self.pool.numbers

    def exchange(self) -> "PooledExchange":
        """A new exchange, for one request."""
        return PooledExchange(self)

    async def close(self) -> None:
        """Abort what is running and close every connection."""
        for exchange in list(self.connecting):
            exchange.abort()
        await self.pool.close()


class PooledExchange(InboxReader):
    """One request and its reply on one connection."""

    __slots__ = ("_connecting", "_connection", "_is_aborted", "_upstream")

    def __init__(self, upstream: PooledUpstream) -> None:
        """An exchange that has not begun."""
        super().__init__()
        self._upstream = upstream
        self._connection: Connection | None = None
        self._connecting: asyncio.Timeout | None = None
        self._is_aborted = False

    async def send(self, request: UpstreamRequest) -> None:
        """Send *request* and wait for the reply's head; see `UpstreamExchange.send`.

        An upstream that replies while a streamed body is still on its way gets no more of it.
        """
        if self._is_aborted:
            raise UpstreamAborted
        head = request_head(request, self._upstream.form)
        # A streamed body cannot be sent twice: it is not risked on a connection that may be dead.
        can_repeat = isinstance(request.body, bytes | None)
        kept = self._upstream.pool.take() if can_repeat else None
        if kept is not None:
            try:
                await self._ask(kept, request, head)
            except WentStale:
                self._inbox = Inbox()
            else:
                return
        await self._ask(await self._connect(), request, head)

    async def read(self) -> list[bytes]:
        """The pieces that came since the last call; see `UpstreamExchange.read`."""
        inbox = self._inbox
        while (pieces := inbox.take()) is None:
            await inbox.arrival()
        connection = self._connection
        if connection is not None and connection.is_paused and connection.serves(inbox):
            connection.resume()
        return pieces

    def abort(self) -> None:
        """Give up; see `UpstreamExchange.abort`."""
        if self._is_aborted or self.ended:
            return
        self._is_aborted = True
        self._inbox.abort()
        if self._connecting is not None and not self._connecting.expired():
            self._connecting.reschedule(asyncio.get_running_loop().time())
        if self._connection is not None and self._connection.serves(self._inbox):
            self._connection.close()

    async def _connect(self) -> Connection:
        """A new connection, in time; `abort()` ends the wait by moving the deadline to now."""
        self._connecting = asyncio.timeout(self._upstream.timeouts.connect)
        self._upstream.connecting.add(self)
        try:
            async with self._connecting:
                return await self._upstream.pool.connect()
        except TimeoutError as exc:
            if self._is_aborted:
                raise UpstreamAborted from None
            raise self._upstream.timeouts.connect_error(self._upstream.address) from exc
        finally:
            self._connecting = None
            self._upstream.connecting.discard(self)

    async def _ask(self, connection: Connection, request: UpstreamRequest, head: bytes) -> None:
        """Send *request* on *connection* and wait for the reply's head."""
        if self._is_aborted:
            connection.close()
            raise UpstreamAborted
        inbox = self._inbox
        self._connection = connection
        body, is_head_request = request.body, request.method == b"HEAD"
        if body is None or isinstance(body, bytes):
            connection.ask(inbox, head, body or b"", is_head_request=is_head_request)
        else:
            connection.begin(inbox, is_head_request=is_head_request)
            uploading = upload(connection, body, head=head, length=request.content_length)
            await self._ask_while_uploading(uploading, connection)
        while not inbox.has_head():
            await inbox.arrival()

    async def _ask_while_uploading(
        self, uploading: Coroutine[None, None, None], connection: Connection
    ) -> None:
        """Wait for the head beside *uploading*, which is stopped when the head comes first."""
        inbox = self._inbox
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(uploading)
                while not inbox.has_head():
                    await inbox.arrival()
                task.cancel()
        except BaseExceptionGroup as errors:
            if connection.serves(inbox):
                connection.close()
            raise errors.exceptions[0] from None
        if connection.serves(inbox):
            connection.expect_bytes()
