"""Ports of the loopback interface that nobody else gets while the server of a test is away."""

import os
import socket
from collections import deque
from contextlib import suppress

# Far more than are waited for at once; one that falls out at the left is closed.
_MOST = 200

_held: deque[int] = deque()


def hold(port: int = 0) -> int:
    """Keep *port*, or any that is free, from everybody who takes what the system gives.

    A server that says where it wants to be, and sets SO_REUSEADDR as they all do, may still listen
    there: Linux refuses it only where somebody listens already (socket(7)). Until then connections
    are refused.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with holder:
        holder.bind(("127.0.0.1", port))
        held = int(holder.getsockname()[1])
        # A socket object would complain of not being closed when the process ends.
        _held.append(holder.detach())
    while len(_held) > _MOST:
        os.close(_held.popleft())
    return held


def hold_for_successor(port: int) -> None:
    """Keep the port of a server that has ended, if nothing of it is left there."""
    with suppress(OSError):
        hold(port)
