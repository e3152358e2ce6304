"""An application in, a listening server out: sockets, workers, signals and logging; no routes.

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
from types import FrameType

import uvicorn
from typing_extensions import override
from uvicorn.supervisors import Multiprocess

from officeai_proxy.app import create_app
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.settings import Settings

BACKLOG = 2048


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


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        http="httptools",
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
