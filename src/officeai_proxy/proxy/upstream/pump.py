"""One call by httpx: a request goes through a forward proxy, its reply into an inbox.

`run()` is never cancelled while httpx works. Giving up closes the socket under it instead, and
httpx leaves in order. Nothing here follows redirects, keeps cookies or decodes a body.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Protocol, cast

import httpx
from typing_extensions import override

from officeai_proxy.errors import UpstreamBroke, UpstreamError, UpstreamUnreachable
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.exchange import UpstreamRequest
from officeai_proxy.proxy.upstream.inbox import Inbox
from officeai_proxy.proxy.upstream.reply_parser import FIRST_FINAL_STATUS, MAX_HEADERS, BadReply
from officeai_proxy.proxy.upstream.request_head import framing_headers
from officeai_proxy.proxy.upstream.timeouts import Timeouts


class Phase(Enum):
    """How far a call has come; each phase has its own time limit."""

    CONNECTING = "connecting"
    WAITING = "waiting"
    READING = "reading"


class NetworkStream(Protocol):
    """What is used of httpx's connections."""

    async def aclose(self) -> None:
        """Close the socket; who reads from it gets an error."""


class Pump:
    """One call on its way through httpx."""

    def __init__(
        self,
        inbox: Inbox,
        request: UpstreamRequest,
        *,
        transport: httpx.AsyncHTTPTransport,
        proxy: httpx.Proxy,
        address: Address,
        timeouts: Timeouts,
    ) -> None:
        """A call that puts the reply to *request* into *inbox*.

        Raises:
            ValueError: the request's target is not ASCII.
        """
        self._inbox = inbox
        self._transport = transport
        self._proxy = proxy
        self._address = address
        self._timeouts = timeouts
        self._phase = Phase.CONNECTING
        # httpx reads these anew in each phase, so that `read` can mean another limit in each.
        self._limits = dict.fromkeys(("connect", "read", "write", "pool"), timeouts.connect)
        self._limits["write"] = timeouts.first_byte
        self._body = _Body(request.body)
        self._request = self._request_of(request)
        self._stream: NetworkStream | None = None
        self._socks_limit: asyncio.TimerHandle | None = None
        self._hanging_up = asyncio.Event()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Make the call. However it ends, the inbox knows it afterwards."""
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._hang_up_when_told())
            try:
                await self._call()
            except Exception as exc:  # noqa: BLE001 - the exchange would wait for ever for its inbox
                self._inbox.fail(self._in_our_words(exc))
                await self._hang_up()
            finally:
                watch.cancel()

    def resume(self) -> None:
        """Read on: the inbox has room again."""
        self._room.set()

    def abort(self) -> None:
        """Give up: what still comes is not wanted."""
        is_running = self._inbox.is_open
        self._inbox.abort()
        if is_running:
            self._hanging_up.set()
            self._room.set()

    async def _call(self) -> None:
        response = await self._transport.handle_async_request(self._request)
        self._stream = cast("NetworkStream", response.extensions["network_stream"])
        try:
            await self._relay(response)
        finally:
            await response.aclose()

    async def _relay(self, response: httpx.Response) -> None:
        """Hand the reply over as it comes, no faster than it is read."""
        headers = response.headers.raw
        if response.status_code < FIRST_FINAL_STATUS or len(headers) > MAX_HEADERS:
            raise BadReply("its reply has a status or headers that nobody asked for")
        self._inbox.put_head(
            response.status_code, [(name.lower(), value) for name, value in headers]
        )
        async for piece in cast("httpx.AsyncByteStream", response.stream):
            if self._hanging_up.is_set():
                return
            if piece:
                self._inbox.put(piece)
            if self._inbox.is_full:
                self._room.clear()
                await self._room.wait()
        # From here on the connection belongs to the next call.
        self._stream = None
        self._inbox.finish()

    async def _hang_up_when_told(self) -> None:
        await self._hanging_up.wait()
        await self._hang_up()

    async def _hang_up(self) -> None:
        # After a failure too: httpcore forgets to close the socket when a SOCKS proxy refuses.
        if self._stream is not None:
            await self._stream.aclose()

    async def _trace(self, event: str, info: Mapping[str, object]) -> None:
        """Follow the call; httpx tells its steps by the names of httpcore's trace extension."""
        step = event.partition(".")[2]
        if step in ("connect_tcp.complete", "start_tls.complete"):
            self._stream = cast("NetworkStream", info["return_value"])
            if self._hanging_up.is_set():
                await self._stream.aclose()
        elif step == "setup_socks5_connection.started":
            # httpcore sets no limit here; a proxy that says nothing would hold the call for ever.
            loop = asyncio.get_running_loop()
            self._socks_limit = loop.call_later(self._timeouts.connect, self._hanging_up.set)
        elif step.startswith("setup_socks5_connection.") and self._socks_limit is not None:
            self._socks_limit.cancel()
        elif step == "send_request_headers.started" and not _is_connect(info):
            self._enter(Phase.WAITING, limit=self._timeouts.first_byte)
        elif step == "receive_response_body.started" and not _is_connect(info):
            self._enter(Phase.READING, limit=self._timeouts.idle)

    def _enter(self, phase: Phase, *, limit: float) -> None:
        self._phase = phase
        self._limits["read"] = limit

    def _request_of(self, request: UpstreamRequest) -> httpx.Request:
        address = self._address
        url = httpx.URL(
            scheme="https" if address.is_tls else "http",
            host=address.host,
            port=address.port,
            raw_path=request.target,
        )
        return httpx.Request(
            request.method.decode("ascii"),
            url,
            headers=[(b"host", address.host_header), *request.headers, *framing_headers(request)],
            stream=self._body,
            extensions={"timeout": self._limits, "trace": self._trace},
        )

    def _in_our_words(self, exc: Exception) -> Exception:
        if exc is self._body.error:
            return exc
        if isinstance(exc, httpx.LocalProtocolError):
            return ValueError("the request cannot be written as HTTP/1.1")
        if isinstance(exc, httpx.TimeoutException) or self._hanging_up.is_set():
            return self._timed_out()
        reason = str(exc) or type(exc).__name__
        proxy = f"the forward proxy {self._proxy.url.host}:{self._proxy.url.port}"
        if self._phase is Phase.CONNECTING:
            return UpstreamUnreachable(
                f"The upstream {self._address} cannot be reached through {proxy}: {reason}. Check "
                "HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or set OFFICEAI_UPSTREAM_TRUST_ENV=false."
            )
        return UpstreamBroke(f"The upstream {self._address} (through {proxy}) broke off: {reason}.")

    def _timed_out(self) -> UpstreamError:
        if self._phase is Phase.CONNECTING:
            return self._timeouts.connect_error(self._address)
        if self._phase is Phase.WAITING:
            return self._timeouts.first_byte_error(self._address)
        return self._timeouts.idle_error(self._address)


class _Body(httpx.AsyncByteStream):
    """A request body for httpx; what the caller's iterator fails with is kept apart."""

    def __init__(self, body: bytes | AsyncIterator[bytes] | None) -> None:
        self._body = body
        self.error: Exception | None = None

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._body is None or isinstance(self._body, bytes):
            yield self._body or b""
            return
        try:
            async for piece in self._body:
                yield piece
        except Exception as exc:
            self.error = exc
            raise


def _is_connect(info: Mapping[str, object]) -> bool:
    return getattr(info.get("request"), "method", b"") == b"CONNECT"
