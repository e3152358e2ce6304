"""A connection in, how far its client has come with reading what was sent out; sends nothing.

The kernel holds megabytes for a client, and takes more only when a third of that is gone: meanwhile
a client that reads slowly would seem to stand still.
"""

import fcntl
import struct
import termios
from asyncio import Transport

MORE_THAN_WAITS = 2**40
"""Bytes that never wait to be sent on one connection."""

_NUMBER = struct.Struct("i")


def read_progress(transport: Transport, relieved: int) -> int:
    """A number that grows as the client reads, for as long as too much waits for it.

    Nothing is written meanwhile, so that what waits only shrinks. When too much waits once more
    later, its size cannot be compared with what waited before: *relieved* is how often the client
    had caught up by then, and counts for more than any size.
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
