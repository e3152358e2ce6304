"""One admitted call: its request goes to the upstream, the reply's bytes come back as they arrive.

The only thing that a reply ever waits for is its own record, and only its very end waits for that.
"""

import asyncio
from typing import Protocol

from starlette.types import Send

from officeai_proxy.error_handlers import error_body, error_headers
from officeai_proxy.errors import (
    ProxyError,
    RequestRefused,
    ShuttingDown,
    UpstreamError,
    UpstreamRefusedKey,
)
from officeai_proxy.model import Durability, Exchange, Outcome
from officeai_proxy.proxy.bodies import CallerLeft
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import Capture
from officeai_proxy.proxy.reply_head import headers_for_caller, own_headers
from officeai_proxy.proxy.upstream import Header, UpstreamAborted, UpstreamExchange
from officeai_proxy.proxy.watch import CallerWatch

UNAUTHORIZED = 401


class ExchangeJournal(Protocol):
    """What forwarding needs of the journal."""

    @property
    def durability(self) -> Durability:
        """What the end of a reply waits for."""

    @property
    def is_keeping(self) -> bool:
        """Whether it takes what is recorded."""

    def append(self, exchange: Exchange) -> None:
        """Keep *exchange*; never raises."""

    async def synced(self) -> None:
        """Return when all that was appended is on the disk."""


class Forwarding:
    """A call on its way through: `run` it, and `cut` it short when the program has to end."""

    def __init__(
        self,
        call: Call,
        exchange: UpstreamExchange,
        capture: Capture,
        *,
        watch: CallerWatch,
        journal: ExchangeJournal,
        finishes_alone: bool,
    ) -> None:
        """*finishes_alone*: the upstream is read to its end although the caller has left."""
        self._call = call
        self._exchange = exchange
        self._capture = capture
        self._watch = watch
        self._journal = journal
        self._finishes_alone = finishes_alone
        self._has_begun = False
        self._is_cut = False

    async def run(self, send: Send) -> None:
        """Forward the call and record how it ended, whatever ends it."""
        try:
            await self._forward(send)
        except (UpstreamAborted, CallerLeft):
            self._capture.settle(Outcome.CLIENT_CLOSED)
            await self._tell_if_cut(send)
        except (UpstreamError, RequestRefused, ShuttingDown) as error:
            await self._fail(error, send)
        except asyncio.CancelledError:
            # The server cancels what still runs when the grace period is over, and would log it as
            # a fault if it came back to it.
            self.cut()
            await self._tell_if_cut(send)
        finally:
            # Nothing is left to be said of a call that has ended; a fault of ours has not said it.
            self._capture.settle(Outcome.UPSTREAM_ERROR, error="proxy_error: the proxy failed")
            self._watch.disarm()
            self._exchange.abort()

    def cut(self) -> None:
        """End the call now, because the program ends."""
        self._is_cut = True
        self._capture.cut(is_told=not self._has_begun)
        self._exchange.abort()

    def caller_left(self) -> None:
        """The caller hung up: give the upstream up too, unless it is to be read to its end."""
        if not self._finishes_alone:
            self._exchange.abort()

    async def _forward(self, send: Send) -> None:
        exchange, capture = self._exchange, self._capture
        await exchange.send(self._call.request)
        if exchange.status == UNAUTHORIZED:
            raise UpstreamRefusedKey
        capture.head(exchange.status, exchange.headers)
        self._has_begun = True
        await send(
            {
                "type": "http.response.start",
                "status": exchange.status,
                "headers": headers_for_caller(self._call, exchange.status, exchange.headers),
            }
        )
        is_over = exchange.ended
        while not is_over:
            pieces = await exchange.read()
            is_over = exchange.ended or not pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if capture.take(data) and not is_over:
                await self._settle_complete()
            if data and not is_over:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif is_over:
                await self._settle_complete()
                await send({"type": "http.response.body", "body": data})
                return
        await self._settle_complete()
        await send({"type": "http.response.body", "body": b""})

    async def _settle_complete(self) -> None:
        """Make the record before the end of the reply goes out, as safe as was asked for."""
        self._capture.settle(Outcome.COMPLETE)
        if self._journal.durability is Durability.DISK:
            await self._journal.synced()

    async def _fail(self, error: ProxyError, send: Send) -> None:
        """Tell the caller, if the reply has not begun; else break off, as the upstream did."""
        self._capture.fail(error, is_told=not self._has_begun)
        if not self._has_begun:
            await refuse(error, send, headers=own_headers(self._call))

    async def _tell_if_cut(self, send: Send) -> None:
        """Say that the program ends, if it was that and the reply has not begun."""
        if self._is_cut and not self._has_begun:
            await refuse(ShuttingDown(), send, headers=own_headers(self._call))


async def refuse(error: ProxyError, send: Send, *, headers: list[Header]) -> None:
    """Answer with *error* in OpenAI's shape."""
    body = error_body(error)
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": [*error_headers(error), length, *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})
