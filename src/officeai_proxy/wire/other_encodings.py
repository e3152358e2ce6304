"""A body in br or zstd in, unpacked by packages that only some have; never more than asked for.

They are `brotli`, from 1.2 on, which is the first that can be told when to stop, and `zstandard`.
"""

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

Unpacker: TypeAlias = Callable[[bytes, int], tuple[bytes, bool]]
"""Takes a body and the most bytes to unpack; what came, which may be a little more than that, and
whether its end was reached. Raises whatever it likes when the body is broken."""

_PIECE = 1024 * 1024
_WINDOW = 8 * 1024 * 1024  # RFC 9659: no server may ask for more of whoever reads zstd.


def unpacker_of(name: str) -> Unpacker | None:
    """What undoes the content encoding *name*, or None where nothing can."""
    try:
        if name == "br":
            return _brotli(importlib.import_module("brotli"))
        if name == "zstd":
            return _zstd(importlib.import_module("zstandard"))
    except (ImportError, AttributeError, TypeError):
        # It is not installed, or so old that it unpacks everything at once.
        return None
    return None


def _brotli(library: Any) -> Unpacker:
    # Versions before 1.2 do not know this argument.
    library.Decompressor().process(b"", output_buffer_limit=1)

    def unpack(data: bytes, most: int) -> tuple[bytes, bool]:
        unpacker = library.Decompressor()
        output: bytes = unpacker.process(data, output_buffer_limit=most)
        return output, bool(unpacker.is_finished())

    return unpack


def _zstd(library: Any) -> Unpacker:
    unpacker = library.ZstdDecompressor(max_window_size=_WINDOW)

    def unpack(data: bytes, most: int) -> tuple[bytes, bool]:
        reader = unpacker.stream_reader(data, read_across_frames=True)
        pieces: list[bytes] = []
        room = most
        while room > 0 and (piece := reader.read(min(room, _PIECE))):
            pieces.append(piece)
            room -= len(piece)
        # It does not tell a body that was cut off from one that has ended.
        return b"".join(pieces), True

    return unpack
