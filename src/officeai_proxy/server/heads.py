"""The head of a request in, what is wrong with it out; llhttp has read it already."""

import re
from collections.abc import Sequence
from typing import Protocol

from officeai_proxy.errors import InvalidRequest, MethodNotAllowed, ProxyError
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.server.patience import Limits
from officeai_proxy.server.refusals import HeadTooLarge

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
    # Nearly every head has each name once: looking closer is for those that do not.
    named = dict(headers)
    host = named.get(b"host")
    is_repeated = len(named) < len(headers) and [name for name, _ in headers].count(b"host") > 1
    if is_repeated or (host is None and line.get_http_version() == "1.1"):
        # RFC 9112, section 3.2.
        return InvalidRequest("Send one Host header.", param="Host")
    if host and not _HOST.fullmatch(host):
        return InvalidRequest("The Host header is not the name of a host.", param="Host")
    if named.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        # RFC 9112, section 6.1: whoever reads on would take what is packed for the body.
        return InvalidRequest(_CODINGS, param="Transfer-Encoding")
    if line.get_method() == b"CONNECT":
        return MethodNotAllowed("This is not a proxy for CONNECT.")
    return None
