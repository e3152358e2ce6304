"""Connections to one upstream: made when needed, kept when free, looked after while there are any.

The newest free connection is used first, so that those not needed grow old and are closed. Nothing
here knows HTTP.
"""

import asyncio
import errno
import ssl
from dataclasses import dataclass
from functools import partial

from officeai_proxy.errors import ShuttingDown, UpstreamUnreachable
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.connection import Connection
from officeai_proxy.proxy.upstream.forward_proxy import ForwardProxy
from officeai_proxy.proxy.upstream.lookup import Lookup
from officeai_proxy.proxy.upstream.reaching import first_reached
from officeai_proxy.proxy.upstream.timeouts import Timeouts
from officeai_proxy.proxy.upstream.tls import client_context

KEPT_SECONDS = 15.0
"""How long a free connection is kept; servers commonly close theirs after 20 to 75 s."""

MAX_KEPT = 256


@dataclass(frozen=True, slots=True)
class PoolNumbers:
    """A pool at one moment: sockets held, and those of them that are free."""

    connections: int
    free: int


class ConnectionPool:
    """The connections of one upstream."""

    def __init__(
        self,
        address: Address,
        *,
        timeouts: Timeouts,
        proxy: ForwardProxy | None = None,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        """An empty pool; connections lead through *proxy*, and a free one is kept for
        *kept_seconds*.
        """
        self._address = address
        self._timeouts = timeouts
        self._proxy = proxy
        self._kept_seconds = kept_seconds
        self._tls = client_context() if address.is_tls else None
        self._lookup = Lookup(address)
        self._connections: set[Connection] = set()
        # In the order in which they became free, and when that was on the loop's clock.
        self._free: dict[Connection, float] = {}
        self._ticker: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._is_closed = False

    @property
    def numbers(self) -> PoolNumbers:
        """How many connections there are."""
        return PoolNumbers(len(self._connections), len(self._free))

    def take(self) -> Connection | None:
        """The newest free connection that may still be alive, or None."""
        while self._free:
            connection, _ = self._free.popitem()
            if connection.is_usable:
                return connection
        return None

    async def connect(self) -> Connection:
        """A new connection.

        Raises:
            UpstreamUnreachable: it could not be made.
            ShuttingDown: the pool is closed.
        """
        if self._is_closed:
            raise ShuttingDown
        connection = Connection(self, address=self._address, timeouts=self._timeouts)
        try:
            await self._make(connection)
        except OSError as exc:
            raise UpstreamUnreachable(_why_unreachable(self._address, exc)) from exc
        except asyncio.CancelledError:
            connection.was_never_made()
            raise
        self._look_after(connection)
        return connection

    async def _make(self, connection: Connection) -> None:
        """Connect *connection* to the first address of the upstream that can be reached.

        Raises:
            OSError: none can, or the upstream has no address.
        """
        address = self._address
        if self._proxy is not None:
            await self._proxy.connect(address, connection, self._tls)
            return
        hosts = await self._lookup.hosts()
        connect = partial(
            asyncio.get_running_loop().create_connection,
            lambda: connection,
            ssl=self._tls,
            server_hostname=address.host if self._tls else None,
        )
        if len(hosts) == 1:
            await connect(hosts[0], address.port)
            return
        while True:
            reached = await first_reached(hosts, address.port)
            hosts = [host for host in hosts if host != reached.host]
            try:
                await connect(sock=reached.socket)
            except OSError as exc:
                # What cannot speak TLS here was reached, and is the upstream.
                if isinstance(exc, ssl.SSLError) or not hosts:
                    raise
            else:
                return

    async def close(self) -> None:
        """Close every connection and wait until their sockets are closed."""
        self._is_closed = True
        for connection in list(self._connections):
            connection.abort_exchange()
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    def connection_is_free(self, connection: Connection) -> None:
        """Keep *connection* for the next exchange, if there is room."""
        if self._is_closed or len(self._free) >= MAX_KEPT:
            connection.close()
        else:
            self._free[connection] = asyncio.get_running_loop().time()

    def connection_is_lost(self, connection: Connection) -> None:
        """Forget *connection*."""
        self._connections.discard(connection)
        self._free.pop(connection, None)
        if not self._connections:
            self._emptied.set()
            self._stop_ticking()

    def _look_after(self, connection: Connection) -> None:
        # Not before the loop has handed it over: one whose making is cancelled is closed by the
        # loop, and uvloop then never says that it is lost.
        if connection.is_usable:
            self._connections.add(connection)
            if self._ticker is None:
                self._tick_later()

    # One timer for all connections, and only while there are any: a timer for each read would cost
    # more than the read.

    def _tick_later(self) -> None:
        interval = min(self._timeouts.tick, self._kept_seconds)
        self._ticker = asyncio.get_running_loop().call_later(interval, self._tick)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        self._close_old_ones(now)
        self._tick_later()

    def _close_old_ones(self, now: float) -> None:
        old = [kept for kept, since in self._free.items() if now - since >= self._kept_seconds]
        for connection in old:
            del self._free[connection]
            connection.close()

    def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None


def _why_unreachable(address: Address, exc: OSError) -> str:
    """What went wrong, in words, and what to look at."""
    start = f"The upstream {address} cannot be reached: "
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"{start}its certificate is not trusted ({exc.verify_message}). If a private authority "
            "signed it, set SSL_CERT_FILE to that authority's certificate."
        )
    if isinstance(exc, ssl.SSLError):
        return f"{start}TLS failed ({exc.reason or exc}). Check that it speaks https on this port."
    if exc.errno in (errno.EMFILE, errno.ENFILE):
        return f"{start}this host may open no more files (`ulimit -n`). Raise that limit."
    if isinstance(exc, ConnectionRefusedError):
        return f"{start}nothing listens there. {address.check}"
    if isinstance(exc, ConnectionResetError):
        return f"{start}the connection was closed at once. {address.check}"
    # getaddrinfo's errors are OSErrors too; their text says that the name is the problem.
    return f"{start}{exc.strerror or str(exc) or type(exc).__name__}. {address.check}"
