"""A few words with a forward proxy before a connection is the upstream's: bytes in, bytes out.

What comes and nobody waits for is a fault: it would become part of the first reply.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

MOST_SAID = 64 * 1024
"""Bytes that a proxy may say before it has connected."""


class ProxyTalk(asyncio.Protocol):
    """What is said over one connection to a forward proxy; used by one task."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._came = bytearray()
        self._is_lost = False
        self._news = asyncio.Event()

    def send(self, data: bytes) -> None:
        """Say *data*. Raises OSError when nobody is there any more."""
        if self._is_lost:
            # uvloop would raise an error that says nothing of the proxy.
            raise OSError("it hung up")
        self._transport.write(data)

    async def until(self, end: bytes) -> bytes:
        """What comes up to *end*, with it. Raises OSError when it does not come."""
        return await self._take(lambda came: came.find(end) + len(end) if end in came else 0)

    async def exactly(self, length: int) -> bytes:
        """The next *length* bytes. Raises OSError when they do not come."""
        return await self._take(lambda came: length if len(came) >= length else 0)

    def end(self) -> None:
        """All is said. Raises OSError when more came than was asked for, or it hung up."""
        if self._came:
            raise OSError("it says more than it was asked for")
        if self._is_lost:
            raise OSError("it hung up")

    async def _take(self, whole: Callable[[bytearray], int]) -> bytes:
        while not (length := whole(self._came)):
            if self._is_lost:
                raise OSError("it hung up")
            if len(self._came) > MOST_SAID:
                raise OSError("it says too much")
            self._news.clear()
            await self._news.wait()
        taken = bytes(self._came[:length])
        del self._came[:length]
        return taken

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The proxy is reached."""
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._came += data
        self._news.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """It hung up, or was lost."""
        self._is_lost = True
        self._news.set()
