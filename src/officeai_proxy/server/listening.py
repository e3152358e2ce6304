"""An address in, the socket that listens on it out, or the reason why not; accepts nothing."""

import socket

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
            f"{exc.strerror or exc}. Another program may use the port; choose another one."
        ) from exc
    listener.set_inheritable(True)
    return listener
