"""A request's body in, a temporary file that holds it out; never the whole body in memory.

The file lies in the data directory, which belongs to us alone, and has no name there: whatever
happens to the process, nothing of it stays.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fastapi import Request
from starlette.requests import ClientDisconnect

from officeai_proxy.crypto.scratch import scratch_file
from officeai_proxy.errors import (
    BodyTooLarge,
    InvalidRequest,
    NoRoom,
    UnprocessableInput,
    UnsupportedMedia,
)
from officeai_proxy.settings import MEGABYTE

_WRITE_BYTES = 1024 * 1024


@asynccontextmanager
async def uploaded(
    request: Request, *, directory: Path, limit: int, is_sealed: bool
) -> AsyncIterator[BinaryIO]:
    """The body of *request*, at most *limit* bytes, as a file; *is_sealed* while it is on the disk.

    Raises:
        UnsupportedMedia: it is a form, or compressed.
        BodyTooLarge: it is larger than *limit*.
        InvalidRequest: the caller left before it was whole.
        UnprocessableInput: it is empty.
        NoRoom: the disk is full, or cannot be written.
    """
    _check_kind(request)
    _check_size(int(request.headers.get("content-length", 0)), limit)
    file = await asyncio.to_thread(_new_file, directory, is_sealed=is_sealed)
    try:
        await _receive(request, file, limit)
        yield file
    finally:
        await asyncio.to_thread(file.close)


def _check_kind(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise UnsupportedMedia(
            "Send the file itself as the body, not a form: `curl --data-binary @file`."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body without Content-Encoding; a ZIP file is fine.")


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(
            f"The file is larger than {limit / MEGABYTE:g} MB. Import it in parts, or have "
            "OFFICEAI_MAX_IMPORT_MB raised by whoever runs this proxy. Nothing was changed."
        )


def _new_file(directory: Path, *, is_sealed: bool) -> BinaryIO:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_sealed:
            return scratch_file(directory)
        return cast("BinaryIO", tempfile.TemporaryFile(dir=directory))
    except OSError as exc:
        raise NoRoom from exc


async def _receive(request: Request, file: BinaryIO, limit: int) -> None:
    size = 0
    waiting = bytearray()
    try:
        async for piece in request.stream():
            size += len(piece)
            _check_size(size, limit)
            waiting += piece
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(_write, file, bytes(waiting))
                waiting.clear()
    except ClientDisconnect as exc:
        raise InvalidRequest("The body broke off before it was whole.") from exc
    if size == 0:
        raise UnprocessableInput("The body is empty; send the file that is to be imported.")
    await asyncio.to_thread(_write, file, bytes(waiting))


def _write(file: BinaryIO, data: bytes) -> None:
    try:
        file.write(data)
        file.flush()
    except OSError as exc:
        raise NoRoom from exc
