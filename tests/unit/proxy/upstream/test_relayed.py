"""A call whose reply is told as it comes hears of every end, also of one that nobody foresaw."""

import asyncio

import pytest

from officeai_proxy.chores import Tasks
from officeai_proxy.errors import ProxyError
from officeai_proxy.proxy.upstream import RelayedExchange
from officeai_proxy.proxy.upstream.connection import Connection


class Sink:
    """Hears of the end."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.has_heard = asyncio.Event()

    def fail(self, error: Exception) -> None:
        self.error = error
        self.has_heard.set()


async def test_a_fault_of_ours_while_connecting_is_told(
    direct, request_of, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller would wait for ever, and all other calls would end with it."""
    upstream, sink = direct("http://127.0.0.1:1"), Sink()

    async def fail() -> Connection:
        raise MemoryError("no room")

    monkeypatch.setattr(upstream.pool, "connect", fail)
    async with asyncio.timeout(60), Tasks() as tasks:
        RelayedExchange(upstream, request_of(), sink, tasks=tasks).begin()
        await sink.has_heard.wait()

    assert isinstance(sink.error, ProxyError)
    assert "no room" in caplog.text
