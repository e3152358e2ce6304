"""Request bodies from ASGI, whole or piece by piece, never more than the limit."""

from collections.abc import AsyncIterator, Callable

from starlette.types import Receive

from officeai_proxy.errors import BodyTooLarge
from officeai_proxy.settings import MEGABYTE


class CallerLeft(Exception):
    """The caller hung up before its request was whole."""


def check_length(announced: int | None, limit: int) -> None:
    """Refuse a body whose announced length is over *limit* bytes, before any of it is read."""
    if announced is not None and announced > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it is longer than *limit* bytes; at most one piece more was read.
        CallerLeft: it never became whole.
    """
    pieces = [piece async for piece in pieces_of(receive, limit=limit)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def pieces_of(
    receive: Receive, *, limit: int, then: Callable[[], None] = lambda: None
) -> AsyncIterator[bytes]:
    """The body as it arrives; *then* is called once no more of it will be read, because it is whole
    or because nobody wants the rest. Raises as `read_body` does.
    """
    size = 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            if piece:
                yield piece
            if not message.get("more_body", False):
                return
    finally:
        then()


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request body is larger than {limit / MEGABYTE:g} MB. Send a smaller one, or have "
        "OFFICEAI_MAX_BODY_MB raised by whoever runs this proxy."
    )
