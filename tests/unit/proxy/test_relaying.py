"""A request's body as it comes over a connection, kept until it is whole."""

import random
import tracemalloc
from dataclasses import dataclass, field
from typing import cast

from officeai_proxy.proxy.admission import Opening
from officeai_proxy.proxy.relay import Relay, ReplyTo
from officeai_proxy.proxy.relaying import IncomingCall, Relaying

OPENING, CALLER = cast("Opening", None), cast("ReplyTo", None)


@dataclass
class Bodies:
    """Stands where calls are relayed, and keeps their bodies."""

    limit: int = 2**20
    came: list[bytes] = field(default_factory=list)

    def whole(self, _: Opening, body: bytes, __: ReplyTo) -> Relay | None:
        self.came.append(body)
        return None


def test_a_body_in_tiny_chunks_takes_little_more_than_its_size() -> None:
    """An object takes forty bytes: twenty megabytes, two at a time, would take half a gigabyte."""
    bodies = Bodies()
    incoming = IncomingCall(cast("Relaying", bodies), OPENING)
    tracemalloc.start()
    try:
        for number in range(5_000):
            incoming.take(b"%02x" % (number % 256))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    incoming.whole(CALLER)

    assert size < 2 * 10_000
    assert bodies.came == [b"".join(b"%02x" % (number % 256) for number in range(5_000))]


def test_a_body_is_whole_however_it_was_cut() -> None:
    """Small pieces and large ones, in their order."""
    chance = random.Random(11)
    bodies = Bodies()
    for _ in range(50):
        pieces = [chance.randbytes(chance.choice((1, 30, 600, 5000))) for _ in range(40)]
        incoming = IncomingCall(cast("Relaying", bodies), OPENING)
        for piece in pieces:
            incoming.take(piece)
        incoming.whole(CALLER)
        assert bodies.came.pop() == b"".join(pieces)
