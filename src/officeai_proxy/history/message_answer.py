"""A page of messages in, one JSON answer out, written some at a time beside the loop that serves.

A message may carry pictures of megabytes, and a page may be a thousand messages: written at once
they would hold up every call meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence

from fastapi import Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from officeai_proxy.history.pieces import send_while_wanted
from officeai_proxy.history.schemas import MessageOut
from officeai_proxy.model import Message
from officeai_proxy.wire import jsontext

PIECE = 256 * 1024
"""How long a piece is that is written and sent at a time, in bytes; or one message, if that is."""


class MessageAnswer(Response):
    """An object of JSON whose last field is a list of messages."""

    media_type = "application/json"

    def __init__(self, frame: BaseModel, name: str, messages: Sequence[Message]) -> None:
        """The fields of *frame*, in their order, and *messages* in one called *name* after them."""
        super().__init__()
        del self.headers["content-length"]
        self._texts = _texts(frame, name, messages)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer (ASGI specification)."""
        first = await asyncio.to_thread(_piece, self._texts)
        second = await asyncio.to_thread(_piece, self._texts) if len(first) >= PIECE else b""
        if not second:
            self.headers["content-length"] = str(len(first))
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if not second:
            await send({"type": "http.response.body", "body": first})
            return
        pieces = _and_the_rest([first, second], self._texts)
        await send_while_wanted(pieces, send, receive, what="a list of messages")


async def _and_the_rest(begun: list[bytes], texts: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    while begun:
        yield begun.pop(0)
    while piece := await asyncio.to_thread(_piece, texts):
        yield piece


def _piece(texts: Iterator[bytes]) -> bytes:
    """The next of *texts*, together a piece; nothing behind the last one."""
    piece = bytearray()
    for text in texts:
        piece += text
        if len(piece) >= PIECE:
            break
    return bytes(piece)


def _texts(frame: BaseModel, name: str, messages: Sequence[Message]) -> Iterator[bytes]:
    begin = jsontext.dumps_readable(frame.model_dump(mode="json"))
    yield f'{begin[:-1]},"{name}":['.encode()
    between = b""
    for message in messages:
        text = jsontext.dumps_readable(MessageOut.of(message).model_dump(mode="json"))
        yield between + text.encode()
        between = b","
    yield b"]}"
