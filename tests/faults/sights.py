"""A client that reads what an upstream's misbehaviour leaves of a reply, and tells what it saw."""

from collections import deque
from dataclasses import dataclass

from tests.journey.wires import Wire
from tests.proxies import RunningProxy


@dataclass(frozen=True)
class Sight:
    """What a client saw: the status, the body so far, and whether the reply came to an end."""

    status: int
    body: bytes
    is_whole: bool
    size: int


def look(proxy: RunningProxy, session: str, *, stream: bool, at_most: int = 2**20) -> Sight:
    """Ask, read until the end or a break, and hang up when *at_most* bytes have come.

    Of a long reply only the end is kept, so that the client's own memory is no matter.
    """
    with Wire(proxy) as wire:
        wire.say("hello", session, stream=stream)
        head = wire.head()
        kept: deque[bytes] = deque()
        size = 0
        try:
            if head.all(b"transfer-encoding") != [b"chunked"]:
                body = wire._exactly(int(head.all(b"content-length")[0]))
                return Sight(head.status, body, True, len(body))
            while size < at_most:
                piece = wire.piece()
                if not piece:
                    return Sight(head.status, b"".join(kept), True, size)
                size += len(piece)
                kept.append(piece)
                if size > 2**20:
                    kept.popleft()
        except EOFError:
            pass
        return Sight(head.status, b"".join(kept), False, size)
