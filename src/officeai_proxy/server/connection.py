"""HTTP/1.1 as it comes over one connection: refuses what is none, and hands on requests.

A thin layer over uvicorn's protocol class, which names no limit for the head of a request, answers
malformed ones in plain text, and takes an offer of another protocol for accepted.
"""

from http import HTTPStatus
from typing import cast

import httptools
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from officeai_proxy.error_handlers import error_body, error_headers
from officeai_proxy.errors import InvalidRequest, MethodNotAllowed, ProxyError

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over one connection; what is none is refused as all errors here are."""

    _fault: ProxyError | None = None
    _head_bytes = 0
    _is_in_head = False
    _has_ended = False

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unset_keepalive_if_required()
        self._has_ended = False
        try:
            self.parser.feed_data(data)
            self._check_unfinished_head(len(data))
        except httptools.HttpParserUpgrade as upgrade:
            self._read_on_without_offer(data[upgrade.args[0] :])
        except (httptools.HttpParserError, ProxyError):
            self._refuse(self._fault or _NotHttp())

    @override
    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._is_in_head = False
        self._check_head()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        """A request is whole."""
        self._has_ended = True
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _check_unfinished_head(self, size: int) -> None:
        # Bytes that came together with the end of another request are not all of this head.
        if self._is_in_head and not self._has_ended:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                raise self._because(_HeadTooLarge())

    def _check_head(self) -> None:
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value)
            hosts += name == b"host"
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            raise self._because(_HeadTooLarge())
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            # RFC 9112, section 3.2.
            raise self._because(InvalidRequest("Send one Host header.", param="Host"))
        if self.parser.get_method() == b"CONNECT":
            raise self._because(MethodNotAllowed("This is not a proxy for CONNECT."))

    def _because(self, fault: ProxyError) -> ProxyError:
        """Note *fault*: what a callback raises does not come out of the parser as it went in."""
        self._fault = fault
        return fault

    def _read_on_without_offer(self, rest: bytes) -> None:
        """Read the request whose head offered another protocol as if it did not (RFC 9110, 7.8).

        Java's HTTP client offers HTTP/2 with every first request. httptools takes any offer for
        accepted and gives the body up, so a fresh parser gets the head without it, then *rest*.
        """
        line = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = b"".join(b"%b: %b\r\n" % h for h in self.headers if h[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/%b\r\n" % line + headers + b"\r\n" + rest)

    def _refuse(self, fault: ProxyError) -> None:
        """Answer with *fault*, unless a reply is under way, and hang up."""
        # There is none before the first request; uvicorn's annotation does not say so.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_raw_answer(fault))
        self.transport.close()


class _NotHttp(InvalidRequest):
    """What was sent is not a valid HTTP/1.1 request."""


class _HeadTooLarge(InvalidRequest):
    """The request's headers are too large or too many; send fewer."""

    status = 431
    code = "headers_too_large"


def _raw_answer(fault: ProxyError) -> bytes:
    body = error_body(fault)
    headers = (
        *error_headers(fault),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    )
    line = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n".encode()
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body
