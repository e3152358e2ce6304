"""br and zstd: undone for the record where the packages are installed, and refused elsewhere."""

import importlib
import sys

import pytest
from tests.packages import a_brotli, a_zstandard, an_old_brotli, no_packages, pack

from officeai_proxy.wire.encoding import UndecodableBody, UnknownEncoding, decoded

TEXT = b'{"messages": []}' * 50


@pytest.fixture(params=["br", "zstd"])
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An encoding whose package is installed; a fake."""
    no_packages(monkeypatch)
    name = str(request.param)
    a_brotli(monkeypatch) if name == "br" else a_zstandard(monkeypatch)
    return name


def undone(data: bytes, encoding: str, *, limit: int = 10_000, partial: bool = False) -> bytes:
    return decoded(data, encoding=encoding, limit=limit, partial=partial, by_packages=True)


def test_what_is_installed_is_used(encoding: str) -> None:
    """Whole bodies, bodies that were cut off and packed ones within packed ones are read."""
    assert undone(pack(TEXT), encoding) == TEXT
    assert undone(b"", encoding) == b""
    assert TEXT.startswith(undone(pack(TEXT)[:-6], encoding, partial=True))
    assert undone(pack(pack(TEXT)), f"deflate, {encoding}") == TEXT


def test_it_is_never_more_than_asked_for(encoding: str) -> None:
    """The limit is exact, and a broken body is one."""
    assert undone(pack(TEXT), encoding, limit=len(TEXT)) == TEXT
    with pytest.raises(UndecodableBody, match="larger than"):
        undone(pack(TEXT), encoding, limit=len(TEXT) - 1)
    with pytest.raises(UndecodableBody, match=f"not valid {encoding}"):
        undone(b"plain text", encoding)


def test_requests_are_read_the_same_everywhere(encoding: str) -> None:
    """What a client may send does not depend on what somebody installed."""
    with pytest.raises(UnknownEncoding):
        decoded(pack(TEXT), encoding=encoding, limit=10_000)


@pytest.mark.parametrize("name", ["br", "zstd", "compress"])
def test_what_is_not_installed_is_an_unknown_encoding(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """So is br where `brotli` is so old that it would unpack a bomb whole."""
    no_packages(monkeypatch)
    with pytest.raises(UnknownEncoding):
        undone(pack(TEXT), name)
    an_old_brotli(monkeypatch)
    with pytest.raises(UnknownEncoding):
        undone(pack(TEXT), name)


def test_a_cut_br_body_is_told_from_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only whoever asks for a part gets one."""
    a_brotli(monkeypatch)
    with pytest.raises(UndecodableBody, match="cut off"):
        undone(pack(TEXT)[:-6], "br")


@pytest.mark.parametrize(("name", "encoding"), [("brotli", "br"), ("zstandard", "zstd")])
def test_the_packages_themselves(name: str, encoding: str) -> None:
    """Where one is really installed it reads what it packed, and no bomb."""
    library = importlib.import_module(name)
    assert undone(library.compress(TEXT), encoding) == TEXT
    assert TEXT.startswith(undone(library.compress(TEXT)[:-4], encoding, partial=True))
    with pytest.raises(UndecodableBody, match="larger than"):
        undone(library.compress(b"\0" * 50_000_000), encoding, limit=100_000)
    with pytest.raises(UndecodableBody, match="not valid"):
        undone(b"\0" * 100, encoding)
    assert name in sys.modules
