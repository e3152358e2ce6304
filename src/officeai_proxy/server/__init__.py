"""An application in, a listening server out: sockets, HTTP, workers, signals, logs; no routes."""

from officeai_proxy.server.listening import bind
from officeai_proxy.server.logs import configure_logging
from officeai_proxy.server.running import run

__all__ = ["bind", "configure_logging", "run"]
