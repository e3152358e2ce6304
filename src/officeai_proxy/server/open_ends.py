"""Replies whose end is that of their connection, as clients of HTTP/1.0 need them; no chunks.

Such a client does not know chunks and would take their sizes for text (RFC 9112, sections 6.1 and
6.3). It takes any orderly end of the connection for the end of the reply, so until the reply is
whole, the connection ends in a reset, however it ends.
"""

import socket
import struct
from asyncio import Transport

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from officeai_proxy.proxy.headers import WITHOUT_BODY

# How to close a socket so that the other side sees a reset, and how in good order (socket(7)).
_RESET, _ORDERLY = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


def end_in_reset(transport: Transport) -> None:
    """Let whatever closes *transport* from now on tear it, also the death of this process."""
    _let_linger(transport, _RESET)


def end_in_order(transport: Transport) -> None:
    """The reply is whole: its end shall look like one."""
    _let_linger(transport, _ORDERLY)


def _let_linger(transport: Transport, how: bytes) -> None:
    # A connection that the client has closed has no socket any more.
    if not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)


def for_client_of(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """*app* as the client of *cycle* can understand it."""
    return OpenEnded(app, cycle) if cycle.scope["http_version"] == "1.0" else app


class OpenEnded:
    """An application as a client of HTTP/1.0 is served it, in one cycle of uvicorn's."""

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        """Serve *app*; *cycle* writes what it sends, and closes the connection after it."""
        self._app = app
        self._cycle = cycle
        self._is_open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI specification)."""

        async def without_chunks(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begin(scope, message)
            elif self._is_open:
                self._go_on(message)
            await send(message)

        await self._app(scope, receive, without_chunks)

    def _begin(self, scope: Scope, start: Message) -> None:
        has_length = any(name.lower() == b"content-length" for name, _ in start.get("headers", ()))
        has_body = scope["method"] != "HEAD" and start["status"] not in WITHOUT_BODY
        self._is_open = has_body and not has_length
        if self._is_open:
            # uvicorn decides for chunks where nobody has decided yet.
            self._cycle.chunked_encoding = False
            end_in_reset(self._cycle.transport)

    def _go_on(self, part: Message) -> None:
        # uvicorn holds each part against a length; there is none.
        self._cycle.expected_content_length = len(part.get("body", b""))
        if not part.get("more_body", False):
            end_in_order(self._cycle.transport)
