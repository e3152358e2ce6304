"""Calls to the upstream through a forward proxy (HTTP, HTTPS or SOCKS5), by httpx.

Each call to httpx runs in a pump: a task that fills the exchange's inbox and is never cancelled
while it runs, because httpx loses connections to cancelled tasks (encode/httpcore#1093). Giving up
closes the socket instead, where it is known, and the pump ends by itself. A call that is given up
while it waits for a reply on a kept connection ends when that reply begins, or by its timeout.
"""

import asyncio

import httpx

from officeai_proxy.errors import ShuttingDown
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.exchange import UpstreamRequest
from officeai_proxy.proxy.upstream.inbox import InboxReader
from officeai_proxy.proxy.upstream.pump import Pump
from officeai_proxy.proxy.upstream.request_head import request_head
from officeai_proxy.proxy.upstream.timeouts import Timeouts
from officeai_proxy.proxy.upstream.tls import client_context

KEPT_SECONDS = 15.0
MAX_KEPT = 100

PARTING_SECONDS = 1.0
"""How long pumps get to leave httpx in order when everything is closed."""


class ForwardProxyUpstream:
    """The upstream at one base URL, reached through one forward proxy."""

    def __init__(self, base_url: str, timeouts: Timeouts, proxy_url: str) -> None:
        """The upstream at *base_url* behind the proxy at *proxy_url*.

        Raises:
            ConfigurationError: *base_url* is not an http or https URL.
        """
        self.address = Address.of(base_url)
        self.timeouts = timeouts
        self.proxy = httpx.Proxy(proxy_url)
        # No limit on connections: an abandoned one must never make another call wait.
        self.transport = httpx.AsyncHTTPTransport(
            verify=client_context(),
            trust_env=False,
            proxy=self.proxy,
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=MAX_KEPT,
                keepalive_expiry=KEPT_SECONDS,
            ),
        )
        self._running: dict[asyncio.Task[None], Pump] = {}
        self._is_closed = False

    @property
    def running(self) -> int:
        """How many calls httpx is still busy with."""
        return len(self._running)

    def exchange(self) -> "ForwardProxyExchange":
        """A new exchange, for one request."""
        return ForwardProxyExchange(self)

    def start(self, pump: Pump) -> None:
        """Run *pump* in a task that this object keeps.

        Raises:
            ShuttingDown: `close()` was called.
        """
        if self._is_closed:
            raise ShuttingDown
        task = asyncio.get_running_loop().create_task(pump.run(), name="upstream pump")
        self._running[task] = pump
        task.add_done_callback(self._running.pop)

    async def close(self) -> None:
        """Abort what is running and close every connection."""
        self._is_closed = True
        tasks = list(self._running)
        for pump in list(self._running.values()):
            pump.abort()
        await self.transport.aclose()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=PARTING_SECONDS)
            # The transport is closed for good, so that a cancelled task can lose nothing.
            for task in stuck:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class ForwardProxyExchange(InboxReader):
    """One request and its reply through the forward proxy."""

    __slots__ = ("_pump", "_upstream")

    def __init__(self, upstream: ForwardProxyUpstream) -> None:
        """An exchange that has not begun."""
        super().__init__()
        self._upstream = upstream
        self._pump: Pump | None = None

    async def send(self, request: UpstreamRequest) -> None:
        """Send *request* and wait for the reply's head; see `UpstreamExchange.send`.

        A streamed body goes out to its end even if the upstream replies before that.
        """
        upstream = self._upstream
        # httpx writes the head by itself; this one is made for what it refuses.
        request_head(request, upstream.address.host_header)
        if self._inbox.is_open:
            self._pump = Pump(
                self._inbox,
                request,
                transport=upstream.transport,
                proxy=upstream.proxy,
                address=upstream.address,
                timeouts=upstream.timeouts,
            )
            upstream.start(self._pump)
        while not self._inbox.has_head():
            await self._inbox.arrival()

    async def read(self) -> list[bytes]:
        """The pieces that came since the last call; see `UpstreamExchange.read`."""
        while (pieces := self._inbox.take()) is None:
            await self._inbox.arrival()
        if self._pump is not None:
            self._pump.resume()
        return pieces

    def abort(self) -> None:
        """Give up; see `UpstreamExchange.abort`."""
        if self._pump is None:
            self._inbox.abort()
        else:
            self._pump.abort()
