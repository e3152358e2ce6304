"""Bodies of requests: measured while they are read, and parsed without loss."""

from typing import Any

import pytest

from officeai_proxy.api.bodies import JsonRequest
from officeai_proxy.errors import (
    BodyTooLarge,
    InvalidJson,
    InvalidRequest,
    UnprocessableInput,
    UnsupportedMedia,
)

JSON = [(b"content-type", b"application/json")]


def a_request(
    *pieces: bytes, headers: list[tuple[bytes, bytes]] = JSON, cut: bool = False
) -> JsonRequest:
    """A request whose body arrives in *pieces*, or breaks off after them."""
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    end = {"type": "http.disconnect"} if cut else {"type": "http.request", "more_body": False}
    waiting.append(end)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return JsonRequest({"type": "http", "headers": headers}, receive)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"NaN", b"\xef\xbb\xbf{}", b"{}{}", b"[" * 5000 + b"]" * 5000]
)
async def test_what_is_no_json_is_refused(body: bytes):
    """What cannot be parsed, or only by some parsers, is not JSON."""
    with pytest.raises(InvalidJson):
        await a_request(body).load(limit=100_000)


@pytest.mark.parametrize("number", [b"1e999", b"-1e400", b"1" + b"0" * 400 + b".0"])
async def test_a_number_that_cannot_be_kept_is_refused(number: bytes):
    """It is JSON, but would come back as another number; the largest of all is kept."""
    with pytest.raises(UnprocessableInput, match="is too large"):
        await a_request(b'{"metadata": {"n": ' + number + b"}}").load(limit=1000)
    request = a_request(b"[1.7976931348623157e308, 18446744073709551616]")
    await request.load(limit=1000)

    assert await request.json() == [1.7976931348623157e308, 2**64]


@pytest.mark.parametrize("pieces", [(b"[1,2,3]",), (b"[1,", b"2,3]")])
async def test_the_limit_holds_to_the_byte(pieces: tuple[bytes, ...]):
    """A body as large as the limit is read, one byte more is not."""
    request = a_request(*pieces)
    await request.load(limit=7)

    assert await request.json() == [1, 2, 3]
    with pytest.raises(BodyTooLarge, match="6 bytes"):
        await a_request(*pieces).load(limit=6)


async def test_a_declared_length_is_believed_before_reading():
    """A body that says it is too large is not waited for."""
    with pytest.raises(BodyTooLarge):
        await a_request(headers=[*JSON, (b"content-length", b"1000")]).load(limit=999)


async def test_a_body_that_breaks_off_is_the_callers_fault():
    """A caller that leaves in the middle is no error of the server."""
    with pytest.raises(InvalidRequest, match="broke off"):
        await a_request(b'{"a":', cut=True).load(limit=100)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/jsonx")],
        [(b"content-type", b"text/x+json")],
        [*JSON, (b"content-encoding", b"gzip")],
    ],
)
async def test_other_media_are_refused(headers: list[tuple[bytes, bytes]]):
    """Only JSON, uncompressed, is read as JSON."""
    with pytest.raises(UnsupportedMedia):
        await a_request(b"{}", headers=headers).load(limit=100)


async def test_no_body_is_no_value():
    """Nothing sent is nothing, whatever type it has."""
    request = a_request(headers=[])
    await request.load(limit=100)

    assert (await request.body(), await request.json()) == (b"", None)


async def test_half_a_character_and_a_huge_number_are_read_whole():
    """What other parsers lose is kept."""
    request = a_request(b'["\\ud800", 1180591620717411303424]')
    await request.load(limit=100)

    assert await request.json() == ["\ud800", 2**70]
