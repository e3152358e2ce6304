"""A transport for a reply that is the last of its connection: hands everything on but the end.

A connection that is closed while its client still sends is reset, and the reset takes along the
reply that the client has not read yet (RFC 9112, section 9.6). So the connection closes itself,
when the request has come whole. nginx, which asks for the end of each connection by default,
otherwise makes a 502 of the reply.
"""

from asyncio import Transport
from collections.abc import Callable
from typing import Any

from typing_extensions import override


class LastReply(Transport):
    """What whoever replies is given for a transport."""

    def __init__(self, transport: Transport, *, hang_up: Callable[[], None]) -> None:
        """Hand on to *transport*; *hang_up* is called in the place of its `close`."""
        super().__init__()
        self._transport = transport
        self._hang_up = hang_up

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*."""
        self._transport.write(data)

    @override
    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio knows of the connection, such as its `socket`."""
        return self._transport.get_extra_info(name, default)

    @override
    def close(self) -> None:
        """The reply has ended, or breaks off here."""
        self._hang_up()
