"""The pieces of a long answer to its client, for as long as that is there; knows no routes.

An answer that fails in the middle is left without its end, and the server then breaks the
connection off: every client takes that for an error (RFC 9112, section 8).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator

from starlette.types import Receive, Send

from officeai_proxy.errors import ProxyError

log = logging.getLogger(__name__)


async def send_while_wanted(
    pieces: AsyncGenerator[bytes, None], send: Send, receive: Receive, *, what: str
) -> None:
    """Send *pieces* to their end, or until the client has gone; the log says *what* failed.

    The head of the answer is sent already.
    """
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send(pieces, send, what))
        leaving = tasks.create_task(_left(receive))
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        leaving.cancel()


async def _send(pieces: AsyncGenerator[bytes, None], send: Send, what: str) -> None:
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except ProxyError as error:
        log.error("%s was broken off: %s", what, error.message)  # noqa: TRY400 - the words say it all
        return
    finally:
        await pieces.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
