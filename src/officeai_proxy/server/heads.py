"""The head of a request in, what is wrong with it out; llhttp has read it already."""

from collections.abc import Sequence
from typing import Protocol

from officeai_proxy.errors import InvalidRequest, MethodNotAllowed, ProxyError
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.server.patience import Limits
from officeai_proxy.server.refusals import HeadTooLarge


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
    hosts = [name for name, _ in headers].count(b"host")
    if hosts != 1 and (hosts or line.get_http_version() == "1.1"):
        # RFC 9112, section 3.2.
        return InvalidRequest("Send one Host header.", param="Host")
    if line.get_method() == b"CONNECT":
        return MethodNotAllowed("This is not a proxy for CONNECT.")
    return None
