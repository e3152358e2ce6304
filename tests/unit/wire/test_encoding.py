"""Content encodings: bombs, broken and cut data, and what servers send."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.wire.encoding import UndecodableBody, decoded

TEXT = b'{"messages": []}' * 50


def raw_deflate(data: bytes) -> bytes:
    """The deflate data of *data* without the zlib frame."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "compress", "x" * 1000])
def test_unknown_encodings_are_refused(encoding: str) -> None:
    """What cannot be undone is an error that names it, in a line."""
    with pytest.raises(UndecodableBody, match="not supported") as caught:
        decoded(gzip.compress(TEXT), encoding=encoding, limit=10_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
@pytest.mark.parametrize("data", [b"plain text", b"\x1f\x8bxxxxxxxxxxxxxxxxxx", b"\0" * 100])
def test_broken_data_is_refused(encoding: str, data: bytes) -> None:
    """Data that is not what its header says is an UndecodableBody, also when it may be cut off."""
    with pytest.raises(UndecodableBody):
        decoded(data, encoding=encoding, limit=10_000)


def test_a_wrong_checksum_is_refused() -> None:
    """A gzip body whose end does not fit was changed on its way."""
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(UndecodableBody, match="not valid gzip"):
        decoded(bytes(packed), encoding="gzip", limit=10_000, partial=True)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_the_limit_is_exact(encoding: str) -> None:
    """A body of exactly the limit passes, and one byte more does not."""
    packed = {"": TEXT, "gzip": gzip.compress(TEXT), "deflate": zlib.compress(TEXT)}[encoding]
    assert decoded(packed, encoding=encoding, limit=len(TEXT)) == TEXT
    with pytest.raises(UndecodableBody, match=f"larger than {len(TEXT) - 1} bytes"):
        decoded(packed, encoding=encoding, limit=len(TEXT) - 1)


def test_a_bomb_is_not_unpacked() -> None:
    """A body that grows a thousandfold is refused with little memory, in one layer and in two."""
    bomb = gzip.compress(b"\0" * 50_000_000)
    twice = gzip.compress(bomb)
    members = gzip.compress(b"\0" * 90_000) * 60
    tracemalloc.start()
    for encoding, data in (("gzip", bomb), ("gzip, gzip", twice), ("gzip", members)):
        with pytest.raises(UndecodableBody, match="larger than"):
            decoded(data, encoding=encoding, limit=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_endless_layers_and_members_are_refused() -> None:
    """Neither a list of many encodings nor a row of many empty members keeps us busy."""
    with pytest.raises(UndecodableBody, match="content encodings"):
        decoded(b"x", encoding="gzip," * 50, limit=10)
    with pytest.raises(UndecodableBody, match="gzip members"):
        decoded(gzip.compress(b"") * 10_000, encoding="gzip", limit=10)


def test_a_body_that_was_cut_off_gives_what_there_is() -> None:
    """With `partial` the start of a cut body is read; without it the body is refused."""
    packed = gzip.compress(bytes(range(256)) * 400, compresslevel=1)
    for data in (packed[: len(packed) // 2], packed[:1]):
        with pytest.raises(UndecodableBody, match="cut off"):
            decoded(data, encoding="gzip", limit=10**6)
    start = decoded(packed[: len(packed) // 2], encoding="gzip", limit=10**6, partial=True)
    assert start
    assert (bytes(range(256)) * 400).startswith(start)
    assert decoded(packed[:5], encoding="gzip", limit=10**6, partial=True) == b""
    twice = gzip.compress(packed)[:-100]
    assert decoded(twice, encoding="gzip, gzip", limit=10**6, partial=True)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("UTF-8", TEXT),
        ("gzip", gzip.compress(TEXT)),
        (" GZIP ", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip, identity", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:])),
        ("gzip", gzip.compress(b"") + gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT) + b"\0\0\0"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("gzip, gzip", gzip.compress(gzip.compress(TEXT))),
        ("deflate, gzip", gzip.compress(zlib.compress(TEXT))),
    ],
    # A gzip header holds the time: names made of the bytes would differ in each process.
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_every_form_that_servers_send_is_read(encoding: str, data: bytes) -> None:
    """Encodings are undone in the reverse of the order in which they were applied."""
    assert decoded(data, encoding=encoding, limit=10_000) == TEXT


def test_an_empty_body_is_empty_under_any_known_encoding() -> None:
    """No body at all is no broken body."""
    assert decoded(b"", encoding="gzip", limit=0) == b""


@given(st.binary(max_size=80), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
@settings(deadline=None)
def test_any_bytes_are_decoded_or_undecodable(data: bytes, encoding: str) -> None:
    """No other error ever comes out."""
    for partial in (False, True):
        try:
            assert len(decoded(data, encoding=encoding, limit=500, partial=partial)) <= 500
        except UndecodableBody:
            continue
