"""What a connection fills with one reply, as it comes; it never waits for whoever reads it."""

from typing import Protocol

from officeai_proxy.proxy.upstream.exchange import Header


class ReplySink(Protocol):
    """One reply's receiver. Each method is called inside the read that brought what it tells."""

    @property
    def status(self) -> int:
        """The reply's status; 0 while there is no head."""

    def put_head(self, status: int, headers: list[Header]) -> None:
        """The head is there."""

    def put(self, piece: bytes) -> None:
        """A piece of the body came."""

    def chunk(self, piece: bytes, framed: bytes) -> bool:
        """One read brought *piece* as one chunk, *framed*: `put` and `arrived` in one."""

    def finish(self) -> None:
        """The reply is whole."""

    def arrived(self) -> bool:
        """All that one read brought has been told. Whether the source should pause now."""

    def fail(self, error: Exception) -> None:
        """Nothing more will come, because of *error*; a reply that is whole stays whole."""

    def abort(self) -> None:
        """Nothing more will come, because the connection is given up on this side."""
