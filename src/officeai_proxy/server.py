"""An application in, a listening server out: sockets, HTTP, workers, signals, logging; no routes.

SIGTERM and SIGINT end it in order: no new connections, running calls may finish within the grace
period, the rest is cut off and recorded as such, the journal is emptied, exit code 0.
"""

import logging
import logging.config
import math
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from types import FrameType

import httptools
import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from officeai_proxy.app import create_app
from officeai_proxy.error_handlers import error_body, error_headers
from officeai_proxy.errors import ConfigurationError, InvalidRequest, MethodNotAllowed, ProxyError
from officeai_proxy.settings import Settings

BACKLOG = 2048

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256


def bind(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigurationError: the address cannot be listened on; the message says why.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # From here on calls wait until a worker takes them, rather than being refused.
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigurationError(
            f"OFFICEAI_HOST, OFFICEAI_PORT: cannot listen on {settings.host}:{settings.port}: "
            f"{exc.strerror or exc}. Another program may use the port; choose another one."
        ) from exc
    listener.set_inheritable(True)
    return listener


def run(settings: Settings, listener: socket.socket, *, on_ready: Callable[[], None]) -> int:
    """Serve on *listener* until a signal ends it; the exit code.

    *on_ready* is called once calls can be made.
    """
    config = _config(settings)
    if settings.workers == 1:
        server = Server(config, on_ready=on_ready)
        server.run(sockets=[listener])
        return 0 if server.started else 1
    on_ready()
    Multiprocess(config, sockets=[listener]).run()
    return 0


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it is ready and ends a signal with exit code 0."""

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """*on_ready* is called when the application has started."""
        super().__init__(config)
        self._on_ready = on_ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then tell."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_ready()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving. uvicorn raises them again at the end, and dies of them."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: end in order. A second SIGINT cuts the grace period short."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over one connection; what is none is refused as all errors here are."""

    _fault: ProxyError | None = None
    _head_bytes = 0
    _is_in_head = True

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unset_keepalive_if_required()
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
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _check_unfinished_head(self, size: int) -> None:
        if self._is_in_head:
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
        cycle = self.cycle
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


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        http=Connection,
        ws="none",
        lifespan="on",
        workers=settings.workers,
        backlog=BACKLOG,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
        log_config=log_config(settings.log_level),
        log_level=settings.log_level if settings.log_level == "debug" else "warning",
    )


class _QuietUvicorn(logging.Filter):
    """Leaves out what uvicorn says of a reply broken off on purpose, as the upstream broke off."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return "returned without completing response" not in record.getMessage()


def log_config(level: str) -> dict[str, object]:
    """How everything logs: lines on standard error, with time, level and the logger's name."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet": {"()": _QuietUvicorn}},
        "formatters": {"line": {"format": line}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["quiet"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "officeai_proxy": {"level": level.upper()},
            "uvicorn": {"level": level.upper() if level == "debug" else "WARNING"},
        },
    }


def configure_logging(settings: Settings) -> None:
    """Log like the server does, before it runs."""
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(capture=sys.warnoptions == [])
