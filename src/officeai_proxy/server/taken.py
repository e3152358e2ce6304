"""A connection in, how far its client has come with taking what was sent out; sends nothing.

The kernel takes megabytes for a client, and asks for more only when it is rid of a third of them:
who reads slowly would seem to stand still for all that time.
"""

import fcntl
import struct
import termios
from asyncio import Transport

MORE_THAN_WAITS = 2**40
"""Bytes that never wait to be sent on one connection."""

_NUMBER = struct.Struct("i")


def taken(transport: Transport, relieved: int) -> int:
    """A number that grows with what the client takes while more waits for it than should.

    Nothing is written meanwhile, so that what waits only becomes less. How much there is the next
    time says nothing of what was taken in between; *relieved*, how often most of it was, does.
    """
    return relieved * MORE_THAN_WAITS - transport.get_write_buffer_size() - _in_kernel(transport)


def _in_kernel(transport: Transport) -> int:
    """Bytes that the client's machine has not acknowledged (tcp(7))."""
    connection = transport.get_extra_info("socket")
    try:
        told = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(_NUMBER.size))
    except (OSError, ValueError):
        # It is closed by now, or the system cannot tell.
        return 0
    size: int = _NUMBER.unpack(told)[0]
    return size
