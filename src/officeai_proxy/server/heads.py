"""The head of a request in, what is wrong with it out; llhttp has read it already."""

import re
from collections.abc import Sequence
from typing import Protocol

from officeai_proxy.errors import InvalidRequest, MethodNotAllowed, ProxyError
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.server.patience import Limits
from officeai_proxy.server.refusals import HeadTooLarge, NotHttp

# RFC 3986, section 3.2, without a user; and names that are left as they are typed, such as 张三.
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]\x80-\xff-]*")

_CODINGS = "Transfer-Encoding can be chunked alone; send that, or a Content-Length."


class Line(Protocol):
    """The first line of a request, as the parser tells it."""

    def get_method(self) -> bytes:
        """Its method."""

    def get_http_version(self) -> str:
        """Its version, such as 1.1."""


def fault_of_head(
    line: Line, target: bytes, headers: Sequence[Header], *, limits: Limits, came: int
) -> ProxyError | None:
    """Why a request is refused by its head, or None; *came* is how many bytes it may have."""
    # A head is no longer than what came since it began: one look instead of one at each header.
    if came > limits.head_bytes:
        size = len(target) + sum(len(name) + len(value) for name, value in headers)
        if size > limits.head_bytes:
            return HeadTooLarge()
    if len(headers) > limits.headers:
        return HeadTooLarge()
    version = line.get_http_version()
    if version not in ("1.1", "1.0"):
        # llhttp reads 0.9, which has no headers, and 2.0, which is not written like this, too.
        return NotHttp()
    if line.get_method() == b"CONNECT":
        return MethodNotAllowed("This is not a proxy for CONNECT.")
    return _fault_of_headers(headers, needs_host=version == "1.1")


def _fault_of_headers(headers: Sequence[Header], *, needs_host: bool) -> ProxyError | None:
    # Nearly every head has each name once: looking closer is for those that do not.
    named = dict(headers)
    names = [name for name, _ in headers] if len(named) < len(headers) else []
    host = named.get(b"host")
    if names.count(b"host") > 1 or (host is None and needs_host):
        # RFC 9112, section 3.2.
        return InvalidRequest("Send one Host header.", param="Host")
    if host and not _HOST.fullmatch(host):
        return InvalidRequest("The Host header is not the name of a host.", param="Host")
    coding = named.get(b"transfer-encoding", b"chunked").lower()
    if coding != b"chunked" or names.count(b"transfer-encoding") > 1:
        # RFC 9112, section 6.1: whoever reads on would take what is packed for the body.
        return InvalidRequest(_CODINGS, param="Transfer-Encoding")
    return None
