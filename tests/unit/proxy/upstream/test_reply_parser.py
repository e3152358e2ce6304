"""Replies of HTTP/1.1, whole, cut anywhere, and hostile."""

from collections import deque
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.proxy.upstream.inbox import Inbox
from officeai_proxy.proxy.upstream.reply_parser import MAX_HEADERS, BadReply, ReplyParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(parser: ReplyParser, inbox: Inbox, part: bytes) -> None:
    """One read, as a connection does it."""
    piece = parser.lone_chunk(part)
    if piece is None:
        parser.feed(part)
    else:
        inbox.chunk(piece, part)


def parsed(*data: bytes, is_head_request: bool = False) -> tuple[ReplyParser, Inbox]:
    parser, inbox = ReplyParser(), Inbox()
    parser.begin(inbox, is_head_request=is_head_request)
    for part in data:
        read(parser, inbox, part)
    return parser, inbox


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", id="cl-te"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", id="te-cl"),
        pytest.param(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", id="two-lengths"),
        pytest.param(OK + b"Content-Length: 2, 3\r\n\r\n", id="length-list"),
        pytest.param(OK + b"Content-Length: -2\r\n\r\n", id="negative-length"),
        pytest.param(OK + b"Content-Length: +2\r\n\r\n", id="plus-length"),
        pytest.param(OK + b"Content-Length: 0x2\r\n\r\n", id="hex-length"),
        pytest.param(OK + b"Content-Length: \r\n\r\n", id="empty-length"),
        pytest.param(OK + b"Content-Length: 99999999999999999999999\r\n\r\n", id="huge-length"),
        pytest.param(OK + b"Transfer-Encoding: xchunked\r\n\r\n", id="xchunked"),
        pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="gzip-chunked"),
        pytest.param(OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n", id="chunked-gzip"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", id="te-te"
        ),
        pytest.param(CHUNKED + b"zz\r\nhi\r\n", id="chunk-size-garbage"),
        pytest.param(CHUNKED + b"2 3\r\nhi\r\n", id="chunk-size-in-two"),
        pytest.param(CHUNKED + b" 2\r\nhi\r\n", id="chunk-size-after-blank"),
        pytest.param(CHUNKED + b"2 \nhi\r\n", id="chunk-size-blank-lf"),
        pytest.param(CHUNKED + b"-2\r\nhi\r\n", id="chunk-size-negative"),
        pytest.param(CHUNKED + b"fffffffffffffffff\r\nhi\r\n", id="chunk-size-overflow"),
        pytest.param(CHUNKED + b"2\r\nhiXX3\r\nabc\r\n", id="chunk-terminator"),
        pytest.param(CHUNKED + b"2\nhi\n0\n\n", id="chunk-bare-lf"),
        pytest.param(OK + b"X-A: 1\r\n X-B: 2\r\n\r\n", id="folded-header"),
        pytest.param(OK + b"X-A: 1\x002\r\n\r\n", id="nul-in-header"),
        pytest.param(OK + b"X-A: 1\r2\r\n\r\n", id="cr-in-header"),
        pytest.param(OK + b"X A: 1\r\n\r\n", id="space-in-name"),
        pytest.param(OK + b"Content-Length : 2\r\n\r\n", id="space-before-colon"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", id="bare-lf"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="http2"),
        pytest.param(b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="http09"),
        pytest.param(b"HTTP/1.1 9999 OK\r\n\r\n", id="status-9999"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="status-20"),
        pytest.param(b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", id="status-000"),
        pytest.param(b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", id="status-600"),
        pytest.param(b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", id="status-999"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", id="status-101"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"<html>not http</html>", id="html"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 17, id="interim-storm"),
        pytest.param(
            b"HTTP/1.1 104 Uploading\r\nContent-Length: 2\r\n\r\nno" + OK + b"\r\n",
            id="interim-body",
        ),
        pytest.param(
            b"HTTP/1.1 104 Uploading\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
            id="interim-chunks",
        ),
        pytest.param(OK + b"X-A: %b\r\n\r\n" % (b"a" * 65536), id="large-header"),
        pytest.param(OK + b"X-A: " + b"a" * 70000, id="endless-header"),
        pytest.param(
            OK + b"".join(b"X-%d: 1\r\n" % n for n in range(257)) + b"\r\n", id="many-headers"
        ),
        pytest.param(CHUNKED + b"0\r\n" + b"X-T: 1\r\n" * 9000, id="many-trailers"),
        pytest.param(CHUNKED + b"0\r\nX-T: " + b"a" * 70000, id="endless-trailer"),
        pytest.param(CHUNKED + b"2;" + b"a" * 70000, id="endless-extension"),
        pytest.param(CHUNKED + b"2" + b" " * 70000, id="endless-padding"),
    ],
)
@pytest.mark.parametrize("cut", [1, 7, 10**6])
def test_a_reply_that_could_be_read_two_ways_is_refused(reply: bytes, cut: int) -> None:
    """Every such reply raises, however the network cuts it; nothing of it is a whole reply."""
    parser, inbox = ReplyParser(), Inbox()
    parser.begin(inbox)
    pieces = [reply[start : start + cut] for start in range(0, len(reply), cut)]
    with pytest.raises(BadReply, match=r"\w+"):
        deque((read(parser, inbox, piece) for piece in pieces), maxlen=0)
    assert not inbox.is_complete


@pytest.mark.parametrize("size", [b"2 ", b"2      ", b"00002 ", b"2 ;a=b"])
@pytest.mark.parametrize("cut", [1, 7, 10**6])
def test_the_size_of_a_chunk_may_be_padded(size: bytes, cut: int) -> None:
    """Blanks behind it say nothing, with or without an extension, however the network cuts them."""
    reply = CHUNKED + size + b"\r\nhi\r\n" + size + b"\r\nho\r\n0  \r\n\r\n"
    _, inbox = parsed(*(reply[start : start + cut] for start in range(0, len(reply), cut)))

    assert b"".join(inbox.take()) == b"hiho"
    assert inbox.ended


def test_bytes_after_the_end_are_refused_but_the_reply_is_whole() -> None:
    """A second reply, or garbage, in the same read raises after the first was finished."""
    for junk in (b"XX", OK + b"Content-Length: 4\r\n\r\nevil"):
        parser, inbox = ReplyParser(), Inbox()
        parser.begin(inbox)
        with pytest.raises(BadReply):
            parser.feed(OK + b"Content-Length: 2\r\n\r\nhi" + junk)
        assert inbox.take() == [b"hi"]
        assert inbox.ended


def test_a_body_after_the_head_of_a_head_reply_is_refused() -> None:
    """The reply to HEAD has no body, whatever its length says; bytes after it are not passed on."""
    parser, inbox = parsed(OK + b"Content-Length: 2\r\n\r\n", is_head_request=True)
    assert inbox.ended
    assert not parser.is_reusable
    with pytest.raises(BadReply):
        parser.feed(b"hi")
    assert inbox.take() == []


@pytest.mark.parametrize(
    "reply",
    [b"", b"HTTP/1.1 2", OK + b"X-A: 1\r\n", OK + b"Content-Length: 3\r\n\r\nhi",
     CHUNKED + b"2\r\nhi\r\n", CHUNKED + b"2\r\nhi\r\n0\r\n"],
)  # fmt: skip
def test_an_early_end_of_the_stream_is_refused(reply: bytes) -> None:
    """A reply with a length or chunks that stops short is not a reply."""
    parser, inbox = parsed(reply)
    with pytest.raises(BadReply, match="closed the connection"):
        parser.feed_eof()
    assert not inbox.is_complete


def test_a_reply_without_length_ends_with_its_connection() -> None:
    """Neither length nor chunks: the orderly end of the stream is the end of the reply."""
    parser, inbox = parsed(OK + b"\r\nhello", b"more")
    assert not inbox.is_complete
    parser.feed_eof()
    assert inbox.take() == [b"hello", b"more"]
    assert inbox.ended
    assert not parser.is_reusable


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_reply_that_never_has_a_body_ends_with_its_head(status: bytes) -> None:
    """204 and 304 end at once, also with a length, and their connection can be used again."""
    for header in (b"", b"Content-Length: 3\r\n"):
        parser, inbox = parsed(b"HTTP/1.1 " + status + b"\r\n" + header + b"\r\n")
        assert inbox.ended
        assert parser.is_reusable


def test_interim_replies_are_skipped() -> None:
    """100, 102 and 103, with headers of their own, leave no trace in the final reply."""
    _, inbox = parsed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-A: 1\r\nContent-Length: 2\r\n\r\nhi",
    )
    assert inbox.status == 200
    assert inbox.headers == [(b"x-a", b"1"), (b"content-length", b"2")]
    assert inbox.take() == [b"hi"]


def test_pieces_are_the_content_of_chunks_without_extensions_and_trailers() -> None:
    """Chunk by chunk the content comes out; extensions and trailers do not."""
    parser, inbox = parsed(
        CHUNKED + b"2;name=value\r\nhi\r\n", b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert inbox.take() == [b"hi", b"abc"]
    assert inbox.ended
    assert parser.is_reusable
    assert inbox.headers == [(b"transfer-encoding", b"chunked")]


def test_headers_keep_order_and_repetition_and_lose_padding() -> None:
    """Names come in lower case, values without padding, repeated ones as they are."""
    _, inbox = parsed(OK + b"X-B:  2 \t \r\nX-A: 1\r\nX-B:\r\nContent-Length: 0\r\n\r\n")
    assert inbox.headers == [
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b""),
        (b"content-length", b"0"),
    ]


def test_as_many_headers_as_allowed_pass() -> None:
    """The limit itself is not beyond the limit."""
    headers = b"".join(b"X-%d: 1\r\n" % number for number in range(MAX_HEADERS - 1))
    _, inbox = parsed(OK + headers + b"Content-Length: 0\r\n\r\n")
    assert len(inbox.headers) == MAX_HEADERS


@pytest.mark.parametrize(
    ("head", "is_reusable"),
    [
        (OK, True),
        (OK + b"Connection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_the_head_says_whether_the_connection_may_be_kept(head: bytes, is_reusable: bool) -> None:
    """Version and Connection header decide together (RFC 9112, section 9.3)."""
    parser, inbox = parsed(head + b"Content-Length: 2\r\n\r\nhi")
    assert inbox.take() == [b"hi"]
    assert parser.is_reusable is is_reusable


def test_a_parser_reads_the_next_reply_as_if_it_were_the_first() -> None:
    """Nothing of one reply, trailers included, shows in the next."""
    parser, first = parsed(CHUNKED + b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n")
    second = Inbox()
    parser.begin(second)
    parser.feed(OK + b"X-A: 1\r\n\r\nuntil close")
    parser.feed_eof()
    assert first.take() == [b"hi"]
    assert second.headers == [(b"x-a", b"1")]
    assert second.take() == [b"until close"]


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.data())
def test_the_body_is_the_same_however_the_bytes_are_cut(chunks: list[bytes], data) -> None:
    """For any chunks and any cuts the content comes out whole, in order, and ended."""
    wire = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    wire += b"0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=10)))
    edges = [0, *cuts, len(wire)]
    parser, inbox = parsed(*(wire[a:b] for a, b in pairwise(edges)))
    assert b"".join(inbox.take() or []) == b"".join(chunks)
    assert inbox.ended
    assert parser.is_complete


def test_a_chunk_that_comes_alone_needs_no_parser() -> None:
    """A read that is one whole chunk is its content, in small letters or large, again and again."""
    parser, inbox = parsed(CHUNKED, b"2\r\nhi\r\n")
    for size, content in ((b"3", b"one"), (b"1f", b"x" * 31), (b"1F", b"y" * 31), (b"2", b"\r\n")):
        part = b"%b\r\n%b\r\n" % (size, content)
        assert parser.lone_chunk(part) == content
        read(parser, inbox, part)
    read(parser, inbox, b"0\r\n\r\n")
    assert b"".join(inbox.take() or []) == b"hione" + b"x" * 31 + b"y" * 31 + b"\r\n"
    assert inbox.ended


@pytest.mark.parametrize(
    "before",
    [b"", b"2", b"2\r", b"2\r\n", b"2\r\nhi", b"2\r\nhi\r", b"2\r\nhi\r\n1", b"2\r\nhi\r\n5\r\n",
     b"2\r\nhi\r\n5;x\r\n", b"2\r\nhi\r\n0\r\n", b"2\r\nhi\r\n0\r\nX: y\r\n"],
)  # fmt: skip
def test_a_chunk_is_alone_only_between_two_others(before: bytes) -> None:
    """What looks like a chunk inside of another, of a size or of trailers is none."""
    parser, _ = parsed(CHUNKED, *([before] if before else []))
    assert parser.lone_chunk(b"5\r\nhello\r\n") is None


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"5",
        b"\r\n",
        b"2\r\nh\r\n",
        b"2\r\nhi",
        b"2\r\nhi\r",
        b"2\r\nhi\r\n0\r\n\r\n",
        b"2;x=y\r\nhi\r\n",
        b"+2\r\nhi\r\n",
        b" 2\r\nhi\r\n",
        b"0x2\r\nhi\r\n",
        b"2\nhi\r\n",
        b"2 \r\nhi\r\n",
        b"0_2\r\nhi\r\n",
        b"0\r\n\r\n",
        b"00\r\n\r\n",
        b"2\r\nhiXX",
    ],
)
def test_whatever_else_comes_has_to_be_parsed(part: bytes) -> None:
    """Half chunks, several, extensions, the end, and sizes that only some would read."""
    parser, _ = parsed(CHUNKED, b"2\r\nhi\r\n")
    assert parser.lone_chunk(part) is None


def outcome_of(parts: list[bytes], *, is_fed: bool) -> tuple[bytes, bool, bool]:
    """What came of *parts*: the content, whether it is whole, and whether it was refused."""
    parser, inbox = ReplyParser(), Inbox()
    parser.begin(inbox)
    try:
        for part in parts:
            if is_fed:
                parser.feed(part)
            else:
                read(parser, inbox, part)
    except BadReply:
        return b"", inbox.is_complete, True
    return b"".join(inbox.take() or []), inbox.is_complete, False


@given(
    st.lists(
        st.sampled_from(
            [b"2\r\nhi\r\n", b"5\r\nhello\r\n", b"1", b"a", b"\r\n", b"\r", b"\n", b"0\r\n", b";x",
             b"5\r\n", b"hello", b"\r\n2\r\n", b"X: y\r\n", b"+2\r\nhi\r\n"]
        ),
        max_size=8,
    )
)  # fmt: skip
def test_a_lone_chunk_is_what_the_parser_makes_of_it(parts: list[bytes]) -> None:
    """With and without the shortcut the same comes of any reads: content, end and refusals."""
    reads = [CHUNKED, b"2\r\nhi\r\n", *parts]
    assert outcome_of(reads, is_fed=False) == outcome_of(reads, is_fed=True)


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(junk: bytes) -> None:
    """Anything after the head of a chunked reply is content, an end, or a refusal."""
    for head in (b"", OK, CHUNKED):
        parser, inbox = ReplyParser(), Inbox()
        parser.begin(inbox)
        with suppress(BadReply):
            parser.feed(head + junk)
            parser.feed_eof()
            assert inbox.is_complete
