"""One call whose reply is told as it comes: no task and no waiting while a connection is free.

`PooledExchange` beside it is for whoever wants to wait for a reply and read it in pieces.
"""

import asyncio
import logging

from officeai_proxy.errors import BROKE_DOWN, ProxyError
from officeai_proxy.proxy.upstream.connection import Connection
from officeai_proxy.proxy.upstream.exchange import UpstreamRequest
from officeai_proxy.proxy.upstream.pooled import PooledUpstream
from officeai_proxy.proxy.upstream.request_head import request_head
from officeai_proxy.proxy.upstream.sink import ReplySink

log = logging.getLogger(__name__)


class RelayedExchange:
    """A request that is sent at once, and what may be done about it later."""

    __slots__ = ("_connecting", "_connection", "_head", "_request", "_sink", "_tasks", "_upstream")

    def __init__(
        self,
        upstream: PooledUpstream,
        request: UpstreamRequest,
        sink: ReplySink,
        *,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Send *request*, whose body is bytes or nothing, and tell *sink*.

        A connection that has to be made is made in one of *tasks*.

        Raises:
            ValueError: the request cannot be written as HTTP/1.1.
        """
        self._upstream = upstream
        self._request = request
        self._sink = sink
        self._tasks = tasks
        self._head = request_head(request, upstream.form)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send it on a free connection, or on a new one."""
        kept = self._upstream.pool.take()
        if kept is None:
            self.begin_anew()
        else:
            self._ask(kept)

    def begin_anew(self) -> None:
        """Send it on a new connection: there is no other, or the one before was dead."""
        self._connection = None
        self._connecting = self._tasks.create_task(self._connect())

    def resume(self) -> None:
        """Read on: the sink has room again."""
        connection = self._connection
        if connection is not None and connection.is_paused and connection.serves(self._sink):
            connection.resume()

    def abort(self) -> None:
        """Give it up; the sink hears nothing more."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None and self._connection.serves(self._sink):
            self._connection.close()

    async def _connect(self) -> None:
        upstream = self._upstream
        try:
            async with asyncio.timeout(upstream.timeouts.connect):
                connection = await upstream.pool.connect()
        except TimeoutError:
            self._sink.fail(upstream.timeouts.connect_error(upstream.address))
        except ProxyError as error:
            self._sink.fail(error)
        except Exception:  # a caller waits for the answer, whatever nobody foresaw
            log.exception("a connection to the upstream failed inside the proxy")
            self._sink.fail(ProxyError(BROKE_DOWN))
        else:
            self._ask(connection)
        finally:
            self._connecting = None

    def _ask(self, connection: Connection) -> None:
        self._connection = connection
        body = self._request.body
        connection.ask(
            self._sink,
            self._head,
            body if isinstance(body, bytes) else b"",
            is_head_request=self._request.method == b"HEAD",
        )
