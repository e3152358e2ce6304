"""A request's line and headers as HTTP/1.1 writes them (RFC 9112, sections 3 and 6).

What cannot be written without changing its meaning is refused, not repaired.
"""

from dataclasses import dataclass

from officeai_proxy.proxy.upstream.exchange import Header, UpstreamRequest

# Servers may answer 411 to these when no length is given (RFC 9110, section 8.6).
METHODS_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What all requests have in common: the value of Host, the *origin* that stands before the
    target where a forward proxy has to know it, and the headers which are for that proxy.
    """

    host: bytes
    origin: bytes = b""
    headers: tuple[Header, ...] = ()


def request_head(request: UpstreamRequest, form: RequestForm) -> bytes:
    """The bytes from the request line to the empty line.

    Raises:
        ValueError: method, target or a header holds what would end it early (CR, LF, NUL, a space
            in the target). The message shows no value, because one of them is the key.
    """
    start = request.start
    if not start.written:
        start.written = _written_start(request, form)
    framing = [b"%b: %b\r\n" % header for header in _framing_headers(request)]
    return b"".join((start.written, *framing, b"\r\n"))


def _written_start(request: UpstreamRequest, form: RequestForm) -> bytes:
    """Everything before the headers about the body."""
    if b" " in request.method or b" " in request.target or not request.target.startswith(b"/"):
        raise ValueError("the method or target of a request cannot be written as HTTP/1.1")
    headers = (*form.headers, *request.headers)
    line = (request.method, form.origin, request.target, form.host)
    lines = [b"%b %b%b HTTP/1.1\r\nhost: %b" % line]
    lines += [b"%b: %b" % header for header in headers]
    lines.append(b"")
    start = b"\r\n".join(lines)
    # Cheaper than a look at every name and value: one break too many shows in the sum.
    breaks = len(headers) + 2
    if start.count(b"\n") != breaks or start.count(b"\r") != breaks or b"\0" in start:
        raise ValueError("a header of the request holds CR, LF or NUL")
    return start


def _framing_headers(request: UpstreamRequest) -> list[Header]:
    """The header that says where the body ends, if one is needed."""
    body = request.body
    if isinstance(body, bytes):
        return [(b"content-length", b"%d" % len(body))]
    if body is None:
        return [(b"content-length", b"0")] if request.method in METHODS_WITH_BODY else []
    if request.content_length is not None:
        return [(b"content-length", b"%d" % request.content_length)]
    return [(b"transfer-encoding", b"chunked")]
