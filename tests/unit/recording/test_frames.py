"""Frames survive everything that can happen to a file; what is damaged hides only itself."""

import json
import random
import struct
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import an_exchange

from officeai_proxy.model import Exchange, Outcome
from officeai_proxy.recording import frames


def test_a_payload_of_an_unknown_version_is_told_apart() -> None:
    """What this version cannot read raises `Undecodable`, whatever it is."""
    for payload in (b"", b"\0" * 12, b"{}", struct.pack(">III", 2, 0, 0) + b"[]"):
        with pytest.raises(frames.Undecodable):
            frames.decode(payload)


def test_an_exchange_comes_back_as_it_was() -> None:
    """Every field survives, bytes that are no text included."""
    exchange = an_exchange(
        outcome=Outcome.CLIENT_CLOSED,
        request=bytes(range(256)),
        reply=b"\xff\x00OAJ1" * 3,
        user=None,
        session="会话",
        error="x",
        model_told="m",
        usage="{}",
        retry_count=2,
        stream=True,
    )

    (frame,) = frames.scan(frames.encode(exchange))

    assert frames.decode(frame.payload) == exchange


def test_a_cut_at_any_byte_loses_only_the_frame_it_cuts() -> None:
    """Frames before the cut are all there, none after, and nothing raises."""
    parts = [frames.encode(an_exchange(reply=b"x" * n)) for n in (0, 1, 50)]
    whole = b"".join(parts)
    ends = [sum(map(len, parts[: n + 1])) for n in range(3)]

    for cut in range(len(whole) + 1):
        found = list(frames.scan(whole[:cut]))
        assert [frame.end for frame in found] == [end for end in ends if end <= cut]


def test_a_flipped_byte_loses_at_most_its_own_frame() -> None:
    """Wherever a byte rots, all other frames are found, and none that was never written."""
    exchanges = [an_exchange(reply=b"y" * 40) for _ in range(3)]
    parts = [frames.encode(exchange) for exchange in exchanges]
    whole = b"".join(parts)

    for at in range(len(whole)):
        rotten = bytearray(whole)
        rotten[at] ^= 0x41
        found = [frames.decode(frame.payload) for frame in frames.scan(bytes(rotten))]
        intact = [e for n, e in enumerate(exchanges) if not _covers(parts, n, at)]
        assert found == intact


def _covers(parts: list[bytes], number: int, at: int) -> bool:
    start = sum(map(len, parts[:number]))
    return start <= at < start + len(parts[number])


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 4096,
        frames.MAGIC,
        frames.MAGIC * 9,
        frames.MAGIC + b"\xff" * 40,
        frames.MAGIC + struct.pack(">IQQI", 0, 0, 0, 0),
        frames.MAGIC + struct.pack(">IQQI", 2**31, 0, 0, 0),
        frames.MAGIC + struct.pack(">IQQI", 2**32 - 1, 1, 1, 1),
        frames.MAGIC + struct.pack(">IQQI", 10, 1, 1, 1),
        b"OAJ0" + b"x" * 100,
    ],
    ids=lambda damage: damage[:12].hex() or "nothing",
)
def test_forged_bytes_between_frames_hide_neither_neighbour(damage: bytes) -> None:
    """Zero pages, wrong lengths and false headers are passed over."""
    before, after = an_exchange(), an_exchange()

    found = frames.scan(frames.encode(before) + damage + frames.encode(after))

    assert [frames.decode(frame.payload) for frame in found] == [before, after]


@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_no_bytes_make_the_scan_fail(data: bytes, seed: int) -> None:
    """Any bytes at all, with a true frame somewhere among them, give that frame at least."""
    frame = frames.encode(an_exchange())
    cut = random.Random(seed).randrange(len(data) + 1)

    found = list(frames.scan(data[:cut] + frame + data[cut:]))

    assert any(one.start == cut for one in found)


@pytest.mark.parametrize("name", ["is_recorded", "request_encoding", "stream", "session", "id"])
def test_a_field_that_is_not_there_is_no_default(name: str) -> None:
    """A frame of a version that did not write it is set aside whole, and not read as another."""
    with pytest.raises(frames.Undecodable, match=name):
        frames.decode(_without(name, frames.payload_of(an_exchange())))


def test_a_field_that_is_newer_than_a_frame_is_what_it_was_then() -> None:
    """What an earlier version left in the journal is stored."""
    exchange = an_exchange(is_recorded=False, request=b"", reply=b"", model_told="served")

    found = frames.decode(_without("model_told", frames.payload_of(exchange)))

    assert found == replace(exchange, model_told=None)


def _without(name: str, payload: bytes) -> bytes:
    """The payload without a field."""
    about_size, request_size, reply_size = struct.unpack_from(">III", payload)
    about = json.loads(payload[12 : 12 + about_size])
    del about[name]
    changed = json.dumps(about).encode()
    sizes = struct.pack(">III", len(changed), request_size, reply_size)
    return sizes + changed + payload[12 + about_size :]


def test_a_payload_is_as_long_as_it_says() -> None:
    """No part of a reply is taken for all of it."""
    with pytest.raises(frames.Undecodable, match="long"):
        frames.decode(frames.payload_of(an_exchange())[:-1])


def test_every_field_of_an_exchange_is_written() -> None:
    """Also those that older frames lack: nothing is left to what it was then."""
    payload = frames.payload_of(an_exchange())
    about_size, _, _ = struct.unpack_from(">III", payload)

    written = json.loads(payload[12 : 12 + about_size])

    assert written.keys() == {field.name for field in fields(Exchange)} - {"request", "reply"}
