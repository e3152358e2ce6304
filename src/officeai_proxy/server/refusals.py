"""Why a connection is refused what it asks for, and the bytes that say so; it writes none of them.

These answers are given where no request has been read to its end, so that no application is asked.
"""

import re
from http import HTTPStatus

import httptools

from officeai_proxy.api.security_headers import HEADERS
from officeai_proxy.error_handlers import error_body, error_headers
from officeai_proxy.errors import InvalidRequest, ProxyError, Unavailable

# What llhttp says of a byte that no value of a header may have, and the line with the first one.
_CONTROL_SAID = "Invalid header value char"
_CONTROL = re.compile(
    rb"[^\0-\x08\x0b\x0c\x0e-\x1f\x7f]*\n([!#-'*+.0-9A-Z^-z|~-]{1,64}):"
    rb"[^\0-\x08\x0b\x0c\x0e-\x1f\x7f\n]*[\0-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


class NotHttp(InvalidRequest):
    """What was sent is not a valid HTTP/1.1 request."""


class BadAddress(InvalidRequest):
    """The request's address holds what no address may: percent-encode it, 数 as %E6%95%B0 (curl:
    -G --data-urlencode).
    """


class HeadTooLarge(InvalidRequest):
    """The request's headers are too large or too many; send fewer."""

    status = 431
    code = "headers_too_large"


class TooSlow(InvalidRequest):
    """The request did not come in time; send it again, without pauses."""

    status = 408
    code = "request_timeout"


class TooManyConnections(Unavailable):
    """The proxy has as many connections open as it may; close some, or try again in a moment."""

    code = "too_many_connections"


def not_read(error: Exception, data: bytes) -> ProxyError:
    """What is wrong with *data*, which llhttp could not read, and raised *error* for."""
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return BadAddress()
    found = _CONTROL.match(data) if _CONTROL_SAID in str(error) else None
    if found is None:
        return NotHttp()
    name = found[1].decode("ascii")
    return NotHttp(f"{name} holds a control character; leave it out.", param=name)


def raw_answer(fault: ProxyError) -> bytes:
    """A whole reply that tells *fault* and closes the connection."""
    body = error_body(fault)
    headers = (
        *error_headers(fault),
        *HEADERS,
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    )
    line = f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n".encode()
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body
