"""What a call that is served on its connection keeps while it runs."""

import asyncio
import weakref
from typing import cast

from uvicorn.protocols.http.flow_control import FlowControl

from officeai_proxy.proxy.relay import Relay
from officeai_proxy.server.direct_call import DirectCall


class Answering:
    """Stands for a relay whose reply has not come yet."""

    has_begun = False

    def begin(self) -> None:
        """The request goes out."""
        self.has_begun = True


class Asking:
    """A request with a large body in pieces."""

    def __init__(self, relay: Answering) -> None:
        """Be answered by *relay*."""
        self._relay = relay

    def take(self, piece: bytes) -> None:
        """Keep *piece*."""

    def whole(self, _: DirectCall) -> Relay:
        """Give the relay away."""
        return cast("Relay", self._relay)


def test_the_pieces_of_a_request_go_when_it_is_whole() -> None:
    """A long stream does not hold its request twice, as pieces and as the body made of them."""
    relay, transport = Answering(), asyncio.Transport()
    asking = Asking(relay)
    is_held = weakref.ref(asking)
    call = DirectCall(
        asking,
        transport=transport,
        flow=FlowControl(transport),
        default_headers=[],
        keep_alive=True,
        knows_chunks=True,
        on_response=lambda: None,
    )

    call.run()
    del asking

    assert relay.has_begun
    assert not call.response_complete
    assert is_held() is None
