"""Requests as HTTP/1.1 writes them."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.proxy.upstream import UpstreamRequest
from officeai_proxy.proxy.upstream.request_head import RequestForm, request_head


@pytest.mark.parametrize("evil", [b"\r", b"\n", b"\r\n", b"\0", b"\r\nx-evil: 1"])
def test_a_header_with_a_line_break_or_nul_is_refused(evil: bytes) -> None:
    """No value or name can add a header or end the head; the message never shows the value."""
    for header in ((b"authorization", b"Bearer sk-secret" + evil), (b"x" + evil, b"sk-secret")):
        request = UpstreamRequest(b"POST", b"/v1/x", [header], b"{}")
        with pytest.raises(ValueError, match="header") as caught:
            request_head(request, RequestForm(b"host"))
        assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"POST", b"/v1/x HTTP/1.1\r\nx: y"),
        (b"POST", b"/v1/x\r\nx:y"),
        (b"POST", b"/v1/\0"),
        (b"POST", b"v1"),
        (b"POST", b""),
        (b"GET /evil HTTP/1.1", b"/v1"),
        (b"GET\r\n", b"/v1"),
    ],
)
def test_a_request_line_that_would_read_otherwise_is_refused(method: bytes, target: bytes) -> None:
    """Method and target cannot smuggle in a second line or another target."""
    with pytest.raises(ValueError, match=r"header|method or target"):
        request_head(UpstreamRequest(method, target, [], None), RequestForm(b"host"))


async def _pieces():
    yield b"piece"


@pytest.mark.parametrize(
    ("method", "body", "length", "framing"),
    [
        (b"POST", b"{}", None, b"content-length: 2\r\n"),
        (b"POST", b"", None, b"content-length: 0\r\n"),
        (b"POST", None, None, b"content-length: 0\r\n"),
        (b"GET", None, None, b""),
        (b"DELETE", None, None, b""),
        (b"POST", _pieces(), 7, b"content-length: 7\r\n"),
        (b"POST", _pieces(), None, b"transfer-encoding: chunked\r\n"),
    ],
)
def test_the_head_says_where_the_body_ends(method, body, length, framing: bytes) -> None:
    """Each kind of body has its one framing header, and what has none needs none."""
    request = UpstreamRequest(method, b"/v1/x?a=b", [(b"a", b"1"), (b"a", b"2")], body, length)
    expected = b"%b /v1/x?a=b HTTP/1.1\r\nhost: h:1\r\na: 1\r\na: 2\r\n%b\r\n"
    assert request_head(request, RequestForm(b"h:1")) == expected % (method, framing)


values = st.binary(max_size=20)


@given(st.lists(st.tuples(values, values), max_size=5), values)
def test_whatever_is_accepted_reads_back_as_it_was_meant(headers, target: bytes) -> None:
    """A server sees exactly one request with as many headers as were given, or we refused it."""
    request = UpstreamRequest(b"POST", b"/" + target, headers, b"")
    try:
        head = request_head(request, RequestForm(b"host"))
    except ValueError:
        return
    seen = _Seen()
    try:
        httptools.HttpRequestParser(seen).feed_data(head)
    except httptools.HttpParserError:
        return
    assert seen.headers == len(headers) + 2
    assert seen.requests == 1


class _Seen:
    def __init__(self) -> None:
        self.headers = 0
        self.requests = 0

    def on_header(self, *_: bytes) -> None:
        self.headers += 1

    def on_message_complete(self) -> None:
        self.requests += 1
