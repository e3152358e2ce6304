"""An address in, the socket that listens on it out, or the reason why not; accepts nothing."""

import socket
from errno import EACCES, EADDRINUSE, EPERM

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.settings import Settings

BACKLOG = 2048
"""How many connections may wait until a worker accepts them."""


def bind(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigurationError: the address cannot be listened on; the message says why.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio lets small pieces wait for acknowledgements (Nagle) where no protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # From here on calls wait until a worker takes them, rather than being refused.
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigurationError(
            f"OFFICEAI_HOST, OFFICEAI_PORT: cannot listen on {settings.host}:{settings.port}: "
            f"{exc.strerror or exc}. {_what_to_do(exc)}"
        ) from exc
    listener.set_inheritable(True)
    return listener


def _what_to_do(fault: OSError) -> str:
    if fault.errno == EADDRINUSE:
        return "Another program uses the port; end it, or choose another port."
    if fault.errno in {EACCES, EPERM}:
        return "Ports below 1024 are for root; choose a higher one, with a web server before it."
    return "The host must be an address of this machine, without a port; 0.0.0.0 is all of them."
