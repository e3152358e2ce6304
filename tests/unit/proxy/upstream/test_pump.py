"""One call by httpx whose transport is a fake: what its failures are called."""

import httpx
import pytest

from officeai_proxy.errors import UpstreamBroke, UpstreamTimedOut, UpstreamUnreachable
from officeai_proxy.proxy.upstream import Timeouts
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.inbox import Inbox
from officeai_proxy.proxy.upstream.pump import Pump


class Failing(httpx.AsyncHTTPTransport):
    """A transport that takes a call as far as a step and then fails."""

    def __init__(self, step: str | None, error: Exception) -> None:
        super().__init__()
        self.step = step
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.step:
            await request.extensions["trace"](self.step, {"request": request})
        raise self.error


SENDING = "http11.send_request_headers.started"


@pytest.mark.parametrize(
    ("step", "error", "expected", "words"),
    [
        (None, httpx.ConnectError("no route"), UpstreamUnreachable, "no route"),
        (None, httpx.ProxyError("407 Authenticate"), UpstreamUnreachable, "407 Authenticate"),
        (None, AssertionError(), UpstreamUnreachable, "AssertionError"),
        (None, httpx.ReadTimeout("x"), UpstreamTimedOut, "OFFICEAI_CONNECT_TIMEOUT"),
        (None, httpx.LocalProtocolError("Illegal header"), ValueError, "HTTP/1.1"),
        (SENDING, httpx.ReadError("reset"), UpstreamBroke, "reset"),
        (SENDING, httpx.WriteTimeout("x"), UpstreamTimedOut, "OFFICEAI_FIRST_BYTE_TIMEOUT"),
    ],
)
async def test_every_failure_reaches_the_inbox_in_our_words(
    request_of, step: str | None, error: Exception, expected: type[Exception], words: str
) -> None:
    """No failure of httpx is lost or shown raw, also one that it does not document."""
    inbox = Inbox()
    transport = Failing(step, error)
    pump = Pump(
        inbox,
        request_of(),
        transport=transport,
        proxy=httpx.Proxy("http://user:password@proxy.example:3128"),
        address=Address.of("https://llm.example"),
        timeouts=Timeouts(connect=1, first_byte=2, idle=3),
    )
    await pump.run()
    with pytest.raises(expected, match=words) as caught:
        inbox.has_head()
    assert "password" not in str(caught.value)
    await transport.aclose()


async def test_a_target_that_is_not_ascii_is_refused(request_of) -> None:
    """What httpx could only send changed is refused before anything is sent."""
    transport = httpx.AsyncHTTPTransport()
    with pytest.raises(ValueError, match="ascii"):
        Pump(
            Inbox(),
            request_of(target=b"/v1/\xff"),
            transport=transport,
            proxy=httpx.Proxy("http://proxy.example:3128"),
            address=Address.of("https://llm.example"),
            timeouts=Timeouts(connect=1, first_byte=2, idle=3),
        )
    await transport.aclose()
