"""Exchanges to journal frames and back; no files here, and no exception for damaged bytes.

A frame is a fixed header and a payload, both big-endian:

    magic "OAJ1" | length u32 | monotonic ns u64 | wall clock ns u64 | crc32 u32 | payload

The CRC covers everything but itself and the magic. A payload is the lengths of its three parts and
the parts: what is known of the exchange as JSON, the request's bytes, the reply's bytes. There is
no header to keep in step and no index, so that a torn or rotten frame can only ever hide itself.

A frame may hold a piece of an exchange that is still going on: its JSON has a number, `piece`, that
counts from 0. Piece 0 has the request; each has what of the reply came since the one before.

A frame lies in the journal for as long as the database is away, so that another version may read it
than wrote it. Each field that this version writes has to be there: a frame that lacks one is not
read with a value that nobody wrote, but is `Undecodable`, and is set aside whole. Every version so
far has written all fields but `is_recorded`, which the first ones did not know. Whoever adds a
field writes it in `_about`, and in `_SINCE` what it was, in truth, for all calls before it was
there. A field for which there is no such value must not go there. A field that is unknown here is
`Undecodable`, too: it may say that the rest means something else.
"""

import mmap
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from uuid import UUID
from zlib import crc32

import orjson

from officeai_proxy.model import Exchange, Outcome
from officeai_proxy.recording.frame_seal import SEALED, FrameSeal

MAGIC = b"OAJ1"
MAX_PAYLOAD = 2**31 - 1

_COVERED = struct.Struct(">IQQ")
_CRC = struct.Struct(">I")
_PARTS = struct.Struct(">III")
_HEADER = struct.Struct(">4sIQQI")
HEADER_SIZE = _HEADER.size

BEGINNING = HEADER_SIZE + _PARTS.size
"""Bytes of a frame in which it says twice how long it is; a sealed one says so once."""

_SINCE: Mapping[str, object] = MappingProxyType({"model_told": None})
"""Fields that earlier versions did not write, and what each of them was in their frames."""

_OUTCOMES = MappingProxyType({outcome.value: outcome for outcome in Outcome})


class Undecodable(ValueError):
    """A frame with a good CRC whose payload this version cannot read."""


# Not frozen, as in `model`: these two are made for every call.
@dataclass(slots=True)
class FrameHeader:
    """The fixed part of a frame: how long its payload is, and when it was written."""

    length: int
    monotonic_ns: int
    wall_ns: int
    crc: int

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return HEADER_SIZE + self.length


@dataclass(slots=True)
class Frame:
    """A whole frame as it was found, from *start* to *end* in its segment."""

    header: FrameHeader
    payload: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an exchange that was going on; all but the first have no request."""

    number: int
    exchange: Exchange


def encode(exchange: Exchange, seal: FrameSeal | None = None) -> bytes:
    """The frame that keeps *exchange*, stamped with the present moment; sealed with *seal*."""
    return frame_of(*_payload(_about(exchange), exchange, seal))


def payload_of(exchange: Exchange, seal: FrameSeal | None = None) -> bytes:
    """The payload of the frame that `encode` makes."""
    return b"".join(_payload(_about(exchange), exchange, seal))


def encode_piece(piece: Piece, seal: FrameSeal | None = None) -> bytes:
    """The frame that keeps *piece*; the request is left out of all but the first."""
    exchange = piece.exchange if piece.number == 0 else replace(piece.exchange, request=b"")
    about = {**_about(exchange), "piece": piece.number}
    return frame_of(*_payload(about, exchange, seal))


def _payload(
    known: dict[str, object], exchange: Exchange, seal: FrameSeal | None
) -> tuple[bytes, ...]:
    about = orjson.dumps(known)
    parts = (
        _PARTS.pack(len(about), len(exchange.request), len(exchange.reply)),
        about,
        exchange.request,
        exchange.reply,
    )
    return parts if seal is None else (seal.seal(b"".join(parts)),)


def frame_of(*parts: bytes) -> bytes:
    """The frame of the payload that *parts* make together, stamped with the present moment."""
    covered = _COVERED.pack(sum(map(len, parts)), time.monotonic_ns(), time.time_ns())
    crc = crc32(covered)
    for part in parts:
        crc = crc32(part, crc)
    return b"".join((MAGIC, covered, _CRC.pack(crc), *parts))


def decode(payload: bytes) -> Exchange:
    """The exchange in a frame's payload, which must be open.

    Raises:
        Undecodable: the payload was written by a version that this one does not know.
    """
    exchange, number = _decode(payload)
    if number is not None:
        raise Undecodable("a journal frame cannot be read: it holds a piece of an exchange")
    return exchange


def decode_piece(payload: bytes) -> Piece:
    """The piece of an exchange in a frame's payload, which must be open.

    Raises:
        Undecodable: it is none, or was written by a version that this one does not know.
    """
    exchange, number = _decode(payload)
    if number is None:
        raise Undecodable("a journal frame cannot be read: it holds no piece of an exchange")
    return Piece(number, exchange)


def _decode(payload: bytes) -> tuple[Exchange, int | None]:
    """The exchange in *payload*, and the number of a piece."""
    try:
        about_size, request_size, reply_size = _PARTS.unpack_from(payload)
        request_at = _PARTS.size + about_size
        reply_at = request_at + request_size
        about = orjson.loads(payload[_PARTS.size : request_at])
        number = about.pop("piece", None)
        if len(about) < len(_FIELDS):
            about |= {name: _SINCE[name] for name in sorted(_FIELDS - about.keys())}
        about["id"] = UUID(about["id"])
        about["outcome"] = _OUTCOMES[about["outcome"]]
        about["request"] = payload[request_at:reply_at]
        about["reply"] = payload[reply_at : reply_at + reply_size]
        exchange = Exchange(**about)
        number = None if number is None else int(number)
    except KeyError as exc:
        raise Undecodable(f"a journal frame cannot be read: nothing is known of {exc}") from exc
    except (struct.error, ValueError, TypeError, AttributeError) as exc:
        raise Undecodable(f"a journal frame cannot be read: {exc}") from exc
    if reply_at + reply_size != len(payload):
        raise Undecodable("a journal frame cannot be read: it is not as long as it says")
    return exchange, number


def read_header(data: bytes | memoryview | mmap.mmap, offset: int = 0) -> FrameHeader | None:
    """The frame header at *offset*, or None when there is none."""
    if len(data) - offset < HEADER_SIZE:
        return None
    magic, length, monotonic_ns, wall_ns, crc = _HEADER.unpack_from(data, offset)
    if magic != MAGIC or length > MAX_PAYLOAD:
        return None
    return FrameHeader(length, monotonic_ns, wall_ns, crc)


def is_intact(header: FrameHeader, payload: bytes | memoryview) -> bool:
    """Whether *payload* is what *header* was written for."""
    covered = _COVERED.pack(header.length, header.monotonic_ns, header.wall_ns)
    return crc32(payload, crc32(covered)) == header.crc


def is_beginning(data: bytes, size: int) -> bool:
    """Whether *size* bytes that begin with *data* may be a frame that was not written to its end.

    Of *data* no more than `BEGINNING` bytes are needed.
    """
    if len(data) < HEADER_SIZE:
        return data.startswith(MAGIC) or MAGIC.startswith(data)
    header = read_header(data)
    if header is None or size >= header.size:
        return False
    payload = data[HEADER_SIZE:]
    if payload.startswith(SEALED) or len(payload) < _PARTS.size:
        return True
    parts: tuple[int, int, int] = _PARTS.unpack_from(payload)
    return _PARTS.size + sum(parts) == header.length


def scan(data: bytes | mmap.mmap, *, base: int = 0) -> Iterator[Frame]:
    """Every intact frame in *data*, in order, whatever lies between; offsets count from *base*."""
    at = data.find(MAGIC)
    while at >= 0:
        header = read_header(data, at)
        end = at + (header.size if header else 0)
        if header and end <= len(data):
            payload = data[at + HEADER_SIZE : end]
            if is_intact(header, payload):
                yield Frame(header, payload, base + at, base + end)
                at = data.find(MAGIC, end)
                continue
        at = data.find(MAGIC, at + 1)


def _about(exchange: Exchange) -> dict[str, object]:
    return {
        "id": exchange.id,
        "workspace": exchange.workspace,
        "key_id": exchange.key_id,
        "method": exchange.method,
        "path": exchange.path,
        "upstream": exchange.upstream,
        "started_ns": exchange.started_ns,
        "duration_ns": exchange.duration_ns,
        "outcome": exchange.outcome,
        "client_ip": exchange.client_ip,
        "is_recorded": exchange.is_recorded,
        "session": exchange.session,
        "user": exchange.user,
        "status": exchange.status,
        "first_byte_ns": exchange.first_byte_ns,
        "model_asked": exchange.model_asked,
        "model_sent": exchange.model_sent,
        "stream": exchange.stream,
        "retry_count": exchange.retry_count,
        "error": exchange.error,
        "content_type": exchange.content_type,
        "content_encoding": exchange.content_encoding,
        "request_encoding": exchange.request_encoding,
        "model_told": exchange.model_told,
        "usage": exchange.usage,
    }


_FIELDS = frozenset(field.name for field in fields(Exchange)) - {"request", "reply"}
