"""A body as it was sent in, the body without its content encodings out; never more than asked for.

Content encodings are those of RFC 9110, section 8.4, as far as the standard library reads them.
"""

import zlib

_MAX_LAYERS = 4
_MAX_MEMBERS = 64  # Each one costs a copy of what follows it; no server sends more than a few.
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class UndecodableBody(ValueError):
    """The body cannot be decoded."""


def decoded(data: bytes, *, encoding: str, limit: int, partial: bool = False) -> bytes:
    """*data* with the encodings named in *encoding* (a `Content-Encoding` value) undone.

    *limit* is the largest result in bytes; no more than that is ever unpacked. With *partial* a
    body that was cut off gives what can be had of it.

    Raises:
        UndecodableBody: an encoding other than gzip and deflate, broken data, or too large.
    """
    if not encoding and len(data) <= limit:
        return data
    names = [name for name in (part.strip().lower() for part in encoding.split(",")) if name]
    if len(names) > _MAX_LAYERS:
        raise UndecodableBody(f"the body has more than {_MAX_LAYERS} content encodings")
    for name in reversed(names):
        data = _undo(name, data, limit=limit, partial=partial)
    if len(data) > limit:
        raise UndecodableBody(f"the body is larger than {limit} bytes")
    return data


def _undo(name: str, data: bytes, *, limit: int, partial: bool) -> bytes:
    if name == "identity" or not data:
        return data
    try:
        if name in ("gzip", "x-gzip"):
            return _gunzip(data, limit=limit, partial=partial)
        if name == "deflate":
            return _inflate(data, limit=limit, partial=partial)
    except zlib.error as exc:
        raise UndecodableBody(f"the body is not valid {name}") from exc
    raise UndecodableBody(f"content encoding {name[:32]!r} is not supported; use gzip or identity")


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
        raise UndecodableBody(f"the body is larger than {limit} bytes when it is unpacked")
    if not unpacker.eof and not partial:
        raise UndecodableBody("the compressed body is cut off")
    return output, unpacker.unused_data
