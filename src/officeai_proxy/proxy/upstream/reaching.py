"""The addresses of the upstream in, a socket that is connected to one of them out; speaks no TLS.

One after the other they would share the time to connect, and one that says nothing takes all of
it: a host that lost its power, or IPv6 where a firewall drops it. So the next address gets its turn
as soon as the one before has failed or said nothing for a moment, and the first to answer is the
one (RFC 8305, section 5).
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

HEAD_START = 0.25
"""Seconds for which an address that says nothing is the only one that is tried."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A `socket` that is connected to `host`."""

    host: str
    socket: socket.socket


async def first_reached(hosts: Sequence[str], port: int) -> Reached:
    """A socket that is connected to *port* of the first of *hosts* to answer.

    Raises:
        OSError: none can be reached; what the last of them failed with.
    """
    failure = OSError("it has no address")
    tried: list[asyncio.Task[Reached]] = []
    trying: set[asyncio.Task[Reached]] = set()
    winner: asyncio.Task[Reached] | None = None
    try:
        while trying or len(tried) < len(hosts):
            if len(tried) < len(hosts):
                tried.append(asyncio.ensure_future(_reach(hosts[len(tried)], port)))
                trying.add(tried[-1])
            others_wait = len(tried) < len(hosts)
            done, trying = await asyncio.wait(
                trying,
                timeout=HEAD_START if others_wait else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                try:
                    reached = task.result()
                except OSError as exc:
                    failure = exc
                else:
                    winner = task
                    return reached
        raise failure
    finally:
        for task in tried:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_close)


async def _reach(host: str, port: int) -> Reached:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio lets small pieces wait for acknowledgements (Nagle) where no protocol is named.
    reaching = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        reaching.setblocking(False)
        await asyncio.get_running_loop().sock_connect(reaching, (host, port))
    except BaseException:
        reaching.close()
        raise
    return Reached(host, reaching)


def _close(task: asyncio.Task[Reached]) -> None:
    """Nobody waits for it any more, and it may have been reached in this very moment."""
    if not task.cancelled() and task.exception() is None:
        task.result().socket.close()
