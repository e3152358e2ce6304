"""An error in, OpenAI's error object out; never a stack trace, never the input.

The shape is that of the OpenAI API reference, "Error codes": `message`, `type`, `param` and `code`,
all four always there. The hot path writes these bytes as they are, so there is no framework here;
`api.faults` has the handlers for the routes.
"""

import json

from officeai_proxy.errors import (
    InvalidKey,
    MethodNotAllowed,
    ProxyError,
    TooManyExports,
    TooManyRequests,
    Unavailable,
    UnsupportedEncoding,
)
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.encoding import READABLE

RETRY_AFTER = b"2"
"""Seconds after which a caller of something unavailable may try again."""


def error_body(error: ProxyError) -> bytes:
    """The JSON body that tells a client about *error*."""
    return error_object(error.message, kind=error.type, param=error.param, code=error.code)


def error_headers(error: ProxyError) -> list[tuple[bytes, bytes]]:
    """The headers that go with `error_body`, without the length."""
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, InvalidKey):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allow).encode()))
    if isinstance(error, UnsupportedEncoding):
        # RFC 9110, section 15.5.16.
        headers.append((b"accept-encoding", ", ".join(READABLE).encode()))
    if not error.may_pass:
        headers.append((b"x-should-retry", b"false"))
    if isinstance(error, (Unavailable, TooManyExports)) and error.may_pass:
        headers.append((b"retry-after", RETRY_AFTER))
    if isinstance(error, TooManyRequests):
        headers.append((b"retry-after", b"%d" % error.retry_after))
        headers.extend(error.headers)
    return headers


def error_object(message: str, *, kind: str, param: str | None, code: str | None) -> bytes:
    """The JSON body with these four fields."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    # Half a surrogate pair has no UTF-8, and its JSON escape is refused by strict readers.
    return clean_text(json.dumps({"error": error}, ensure_ascii=False)).encode()
