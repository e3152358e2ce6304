"""The recorder's thread outlives a recorder that fails in a way nobody foresaw."""

import asyncio
import logging
import threading

import pytest

from officeai_proxy.recording.thread import RecorderThread


class Worker:
    """Fails as often as it is told, then works until it is stopped."""

    def __init__(self, made: list["Worker"], *, failures: int, works: threading.Event) -> None:
        self._fails = len(made) < failures
        self._works = works
        self._stopped = asyncio.Event()
        self._number = len(made)
        made.append(self)

    def poke(self) -> None:
        """Nothing is waited for."""

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        if self._fails:
            raise RuntimeError(f"nobody foresaw this {self._number // 2}")
        self._works.set()
        await self._stopped.wait()


async def test_a_failed_recorder_is_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged with its trace, once for as long as it is the same; the fifth works."""
    made: list[Worker] = []
    works = threading.Event()

    async def make() -> Worker:
        return Worker(made, failures=4, works=works)

    thread = RecorderThread(make, anew_after=0.01)
    with caplog.at_level(logging.ERROR):
        thread.start()
        assert await asyncio.to_thread(works.wait, 60)
    is_alive = thread.is_alive

    assert is_alive
    assert await thread.stop(60)
    assert len(made) == 5
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


async def test_a_recorder_that_only_fails_can_be_stopped() -> None:
    """The end of the program does not wait for a recorder that cannot work, and health is bad."""
    made: list[Worker] = []

    async def make() -> Worker:
        return Worker(made, failures=10**9, works=threading.Event())

    thread = RecorderThread(make, anew_after=0.01)
    thread.start()
    async with asyncio.timeout(60):
        while len(made) < 3:  # noqa: ASYNC110 - another thread makes them
            await asyncio.sleep(0.005)

    assert await thread.stop(60)
    assert not thread.is_alive
