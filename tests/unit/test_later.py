"""An application is made once, at its first request, while the loop goes on."""

import asyncio
import threading

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from officeai_proxy.later import Later

SCOPE: Scope = {"type": "http", "path": "/"}


class Maker:
    """Makes an application that counts its requests; fails as often as it is told to."""

    def __init__(self, *, failures: int = 0) -> None:
        """Fail *failures* times first."""
        self.failures = failures
        self.made = 0
        self.served = 0
        self.may_go_on = threading.Event()
        self.thread: int | None = None

    def __call__(self) -> ASGIApp:
        """Wait until it may go on, then make it."""
        assert self.may_go_on.wait(60)
        self.thread = threading.get_ident()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not this time")
        self.made += 1
        return self._app

    async def _app(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        self.served += 1


async def receive() -> Message:
    return {"type": "http.disconnect"}


async def send(_: Message) -> None:
    pass


async def test_what_cannot_be_made_is_tried_again() -> None:
    """The request that met the failure gets it; the next one begins anew."""
    maker = Maker(failures=1)
    maker.may_go_on.set()
    later = Later(maker)

    with pytest.raises(RuntimeError, match="not this time"):
        await later(SCOPE, receive, send)
    await later(SCOPE, receive, send)

    assert (maker.made, maker.served) == (1, 1)


async def test_made_once_for_all_who_wait_for_it() -> None:
    """Requests that come while it is made wait in the loop, which goes on, and share it."""
    maker = Maker()
    later = Later(maker)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(later(SCOPE, receive, send))
        await asyncio.sleep(0)
        assert maker.made == 0
        maker.may_go_on.set()
    await later(SCOPE, receive, send)

    assert (maker.made, maker.served) == (1, 4)
    assert maker.thread != threading.get_ident()
