"""The seam to the upstream: a request goes in, a reply's head and its pieces come out.

Whoever forwards calls knows only these names; how the bytes travel is the business of the modules
beside this one. Nothing here decodes, parses or records a body.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Header: TypeAlias = tuple[bytes, bytes]
"""A header's name and value. Names of replies are in lower case."""


class UpstreamAborted(Exception):
    """The caller gave this exchange up by `abort()`, or closed the whole upstream."""


@dataclass(slots=True)
class HeadStart:
    """Request line and headers as they are written, once they were; empty until then.

    Requests that differ in nothing but their bodies share one.
    """

    written: bytes = b""


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class UpstreamRequest:
    """A request as it goes to the upstream.

    `target` is the origin form (path and query) with the base URL's path already in front.
    `headers` are end-to-end headers only: host, content-length, transfer-encoding and connection
    are added by the client. `content_length` is that of a streamed body, in bytes; a streamed body
    without it goes out in chunks.
    """

    method: bytes
    target: bytes
    headers: Sequence[Header]
    body: bytes | AsyncIterator[bytes] | None
    content_length: int | None = None
    start: HeadStart = field(default_factory=HeadStart)


class UpstreamExchange(Protocol):
    """One request and its reply. Used by one task at a time; `abort()` may come from anywhere."""

    @property
    def status(self) -> int:
        """The reply's status, once `send()` has returned."""

    @property
    def headers(self) -> list[Header]:
        """The reply's headers in their order, once `send()` has returned."""

    @property
    def ended(self) -> bool:
        """Whether the last piece has been handed out by `read()`, or there is no body."""

    async def send(self, request: UpstreamRequest) -> None:
        """Send *request* and wait for the head of the final reply (never a 1xx).

        Raises:
            ValueError: the request cannot be written as HTTP/1.1; nothing of it was sent.
            UpstreamUnreachable: no connection could be made.
            UpstreamTimedOut: the upstream took too long.
            UpstreamBroke: the connection was lost, or what came was not HTTP.
            UpstreamAborted: `abort()` was called.
        """

    async def read(self) -> list[bytes]:
        """All pieces of the body that came since the last call; waits for at least one.

        Pieces are the content as it came: HTTP's framing is removed, a content-encoding is not.
        An empty list is returned only at the end. When the end is known already, the last pieces
        are returned and `ended` is true at once.

        Raises:
            UpstreamTimedOut: the upstream fell silent.
            UpstreamBroke: the reply ended early; every piece that came was handed out before.
            UpstreamAborted: `abort()` was called.
        """

    def abort(self) -> None:
        """Give the exchange up, at any time and as often as you like.

        Closes the connection, unless the reply has come in whole.
        """
