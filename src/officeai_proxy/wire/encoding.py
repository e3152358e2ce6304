"""A body as it was sent in, the body without its content encodings out; never more than asked for.

Content encodings are those of RFC 9110, section 8.4, as far as the standard library reads them, and
for the record also those that `other_encodings` can.
"""

import zlib

from officeai_proxy.wire.other_encodings import Unpacker, unpacker_of

READABLE = ("gzip", "deflate", "x-gzip", "identity")
"""The encodings that can be undone everywhere."""

# Some programs name their charset here; they mean that nothing was done to the body.
_NOTHING_DONE = ("identity", "utf-8", "utf8")
_MAX_LAYERS = 4
_MAX_MEMBERS = 64  # Each one costs a copy of what follows it; no server sends more than a few.
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class UndecodableBody(ValueError):
    """The body cannot be decoded."""


class TooLarge(UndecodableBody):
    """The body is larger than was asked for, as it came or when it is unpacked."""


class UnknownEncoding(UndecodableBody):
    """The body has an encoding that is not read here; nothing is wrong with it otherwise."""


def decoded(
    data: bytes, *, encoding: str, limit: int, partial: bool = False, by_packages: bool = False
) -> bytes:
    """*data* with the encodings named in *encoding* (a `Content-Encoding` value) undone.

    *limit* is the largest result in bytes; no more than that is ever unpacked. With *partial* a
    body that was cut off gives what can be had of it. With *by_packages* encodings beyond READABLE
    are undone where somebody installed what they take.

    Raises:
        UnknownEncoding: it has an encoding that cannot be undone here.
        TooLarge: it is larger than *limit*.
        UndecodableBody: it is broken.
    """
    if not encoding and len(data) <= limit:
        return data
    names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name]
    if len(names) > _MAX_LAYERS:
        raise UndecodableBody(f"the body has more than {_MAX_LAYERS} content encodings")
    for name in reversed(names):
        other = unpacker_of(name) if by_packages and name not in READABLE else None
        if other is None:
            data = _undo(name, data, limit=limit, partial=partial)
        else:
            data = _undo_other(name, data, other, limit=limit, partial=partial)
    if len(data) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes")
    return data


def _undo(name: str, data: bytes, *, limit: int, partial: bool) -> bytes:
    if name in _NOTHING_DONE or not data:
        return data
    try:
        if name in ("gzip", "x-gzip"):
            return _gunzip(data, limit=limit, partial=partial)
        if name == "deflate":
            return _inflate(data, limit=limit, partial=partial)
    except zlib.error as exc:
        raise UndecodableBody(f"the body is not valid {name}") from exc
    raise UnknownEncoding(
        f"content encoding {name[:32]!r} is not supported; use {', '.join(READABLE)}"
    )


def _undo_other(name: str, data: bytes, unpack: Unpacker, *, limit: int, partial: bool) -> bytes:
    if not data:
        return data
    try:
        output, has_ended = unpack(data, limit + 1)
    except Exception as exc:  # each package has errors of its own
        raise UndecodableBody(f"the body is not valid {name}") from exc
    if len(output) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes when it is unpacked")
    if not has_ended and not partial:
        raise UndecodableBody("the compressed body is cut off")
    return output


def _gunzip(data: bytes, *, limit: int, partial: bool) -> bytes:
    """Every member of a gzip file (RFC 1952); what follows the last one is padding."""
    members: list[bytes] = []
    room = limit
    for _ in range(_MAX_MEMBERS):
        unpacked, data = _unpack(data, wbits=_GZIP, limit=room, partial=partial)
        members.append(unpacked)
        room -= len(unpacked)
        if not data.startswith(_GZIP_MAGIC):
            # The only member is not copied, for it may be large.
            return b"".join(members) if len(members) > 1 else unpacked
    raise UndecodableBody(f"the body has more than {_MAX_MEMBERS} gzip members")


def _inflate(data: bytes, *, limit: int, partial: bool) -> bytes:
    """RFC 9110 means the zlib format by "deflate", but many servers send it raw."""
    try:
        return _unpack(data, wbits=zlib.MAX_WBITS, limit=limit, partial=partial)[0]
    except zlib.error:
        return _unpack(data, wbits=-zlib.MAX_WBITS, limit=limit, partial=partial)[0]


def _unpack(data: bytes, *, wbits: int, limit: int, partial: bool) -> tuple[bytes, bytes]:
    """One compressed unit at the start of *data*, unpacked, and what follows it."""
    unpacker = zlib.decompressobj(wbits)
    output = unpacker.decompress(data, limit + 1)
    if len(output) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes when it is unpacked")
    if not unpacker.eof and not partial:
        raise UndecodableBody("the compressed body is cut off")
    return output, unpacker.unused_data
