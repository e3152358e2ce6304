"""Packages that only some have, as tests know them: not there, or a fake on top of zlib."""

import sys
import zlib
from types import ModuleType, SimpleNamespace

import pytest

pack = zlib.compress
"""Packs a body so that the fakes can unpack it."""


def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be installed that unpacks br or zstd."""
    for name in ("brotli", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]  # as `import` knows it


def a_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a `brotli` be installed that unpacks what `pack` packed."""

    class Decompressor:
        def __init__(self) -> None:
            self._unpacker = zlib.decompressobj()

        def process(self, data: bytes, *, output_buffer_limit: int) -> bytes:
            return self._unpacker.decompress(data, output_buffer_limit)

        def is_finished(self) -> bool:
            return self._unpacker.eof

    _install(monkeypatch, "brotli", Decompressor=Decompressor)


def an_old_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a `brotli` be installed that cannot be told when to stop."""
    old = SimpleNamespace(process=lambda data: zlib.decompress(data))
    _install(monkeypatch, "brotli", Decompressor=lambda: old)


def a_zstandard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a `zstandard` be installed that unpacks what `pack` packed."""

    class Reader:
        def __init__(self, data: bytes) -> None:
            self._unpacker, self._rest = zlib.decompressobj(), data

        def read(self, size: int) -> bytes:
            piece = self._unpacker.decompress(self._rest, size)
            self._rest = self._unpacker.unconsumed_tail
            return piece

    class ZstdDecompressor:
        def __init__(self, *, max_window_size: int) -> None:
            assert max_window_size == 2**23

        def stream_reader(self, source: bytes, *, read_across_frames: bool) -> Reader:
            assert read_across_frames
            return Reader(source)

    _install(monkeypatch, "zstandard", ZstdDecompressor=ZstdDecompressor)


def _install(monkeypatch: pytest.MonkeyPatch, name: str, **has: object) -> None:
    module = ModuleType(name)
    vars(module).update(has)
    monkeypatch.setitem(sys.modules, name, module)
