"""Bytes in, a nameless file that holds them sealed, the same bytes out; written once, then read.

The key is drawn for each file and is nowhere but in memory: what is left of the file on a disk
opens for nobody, and needs no key of the configuration.
"""

import io
import secrets
import tempfile
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from typing_extensions import Buffer, override

from officeai_proxy.crypto.library import aes_gcm

CHUNK = 64 * 1024
"""Bytes that are sealed at once."""

_TAG = 16


class ScratchFile(io.RawIOBase):
    """A file to write from beginning to end, and to read anywhere once it is written."""

    def __init__(self, directory: Path | None, *, memory: int) -> None:
        """It is in memory up to *memory* bytes, then in *directory*, or wherever there is room."""
        self._directory = directory
        self._memory = memory
        self._file: IO[bytes] | None = None
        self._cipher: Any = None
        self._waiting = bytearray()
        self._sealed = 0
        self._size = 0
        self._place = 0
        self._open: tuple[int, bytes] = (-1, b"")

    @override
    def readable(self) -> bool:
        return True

    @override
    def writable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def write(self, data: Buffer, /) -> int:
        """Append *data*.

        Raises:
            OSError: the disk takes no more of it.
            ValueError: some of the file was read from the disk already.
        """
        if self._sealed * CHUNK + len(self._waiting) != self._size:
            raise ValueError("a scratch file that was read is written no more")
        given = bytes(data)
        self._waiting += given
        self._size += len(given)
        self._place = self._size
        if self._file is not None or self._size > self._memory:
            while len(self._waiting) >= CHUNK:
                self._seal(bytes(self._waiting[:CHUNK]))
                del self._waiting[:CHUNK]
        return len(given)

    @override
    def tell(self) -> int:
        return self._place

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, as files do."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("there is no place before the beginning of a file")
        self._place = start + offset
        return self._place

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        """Fill *buffer* from here on, as far as the file goes."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._place < self._size:
            piece = self._piece(len(view) - filled)
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._place += len(piece)
        return filled

    @override
    def close(self) -> None:
        """Give the file up; nothing of it can be read again."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _piece(self, most: int) -> bytes:
        """What is here, at most *most* bytes, as far as one chunk has it."""
        if self._file is None:
            return bytes(self._waiting[self._place : self._place + most])
        if self._waiting:
            self._seal(bytes(self._waiting))
            self._waiting.clear()
        number, within = divmod(self._place, CHUNK)
        return self._chunk(self._file, number)[within : within + most]

    def _seal(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - closed by `close`
            self._cipher = aes_gcm(secrets.token_bytes(32))
        # The key is this file's alone and each number comes once, so numbers are good nonces.
        sealed = self._cipher.encrypt(self._sealed.to_bytes(12, "big"), chunk, None)
        written = self._file.write(sealed)
        while written < len(sealed):
            written += self._file.write(sealed[written:])
        self._sealed += 1

    def _chunk(self, file: IO[bytes], number: int) -> bytes:
        if self._open[0] != number:
            file.seek(number * (CHUNK + _TAG))
            sealed = file.read(CHUNK + _TAG)
            self._open = (number, self._cipher.decrypt(number.to_bytes(12, "big"), sealed, None))
        return self._open[1]


def scratch_file(directory: Path | None = None, *, memory: int = 0) -> BinaryIO:
    """A nameless file, as `tempfile.TemporaryFile` gives one, whose bytes on the disk are sealed.

    The first *memory* bytes stay in memory. What is written may be read once all of it is written.
    """
    return cast("BinaryIO", io.BufferedRandom(ScratchFile(directory, memory=memory), CHUNK))
