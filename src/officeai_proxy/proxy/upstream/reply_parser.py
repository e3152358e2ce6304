"""Bytes of HTTP/1.1 replies go in; head and body of one go to its inbox, without HTTP's framing.

It reads one reply, then stops: a byte more is refused, so that nothing can reach the next call.
llhttp (in httptools) is strict about lengths, chunks and header syntax; what it lets pass and a
careful client must not is refused here (RFC 9112, sections 2.3 and 6.3).
"""

import re

import httptools

from officeai_proxy.proxy.upstream.exchange import Header
from officeai_proxy.proxy.upstream.inbox import Inbox
from officeai_proxy.proxy.upstream.sink import ReplySink

MAX_HEADERS = 256
MAX_HEAD_BYTES = 64 * 1024
MAX_INTERIM_REPLIES = 16

_LONGEST_SIZE = len(b"fff\r\n")

FRAMING_HEADERS = frozenset({b"content-length", b"transfer-encoding"})

CONTINUE = 100
SWITCHING_PROTOCOLS = 101
FIRST_FINAL_STATUS = 200
LAST_STATUS = 599
PROXY_LOGIN_WANTED = 407


class _Sizes(dict[bytes, int]):
    """The sizes of small chunks, as servers write them; each is understood once and kept.

    What is none of them is for llhttp, and -1 here: no chunk has that many bytes.
    """

    def __missing__(self, text: bytes) -> int:
        if not _is_small_size(text):
            return -1
        return self.setdefault(text, int(text, 16))


_SIZES = _Sizes()
_is_small_size = re.compile(rb"[1-9a-fA-F][0-9a-fA-F]{0,2}").fullmatch


class BadReply(Exception):
    """What came is not an acceptable HTTP reply; the text says why, for the end of a sentence."""


class ProxyRefused(BadReply):
    """It is no reply of the upstream: a forward proxy does not let the request through."""


class ReplyParser:
    """Reads the replies of one connection, each asked for by `begin()`.

    Methods whose names begin with `on_` are called by llhttp.
    """

    __slots__ = (
        "_framing",
        "_headers",
        "_inbox",
        "_interim_replies",
        "_is_after_chunk",
        "_is_between_chunks",
        "_is_head_request",
        "_parser",
        "_refusal",
        "_unframed",
        "is_complete",
        "is_reusable",
    )

    def __init__(self, *, behind_proxy: bool = False) -> None:
        """A parser that expects no reply yet; *behind_proxy* some may be a forward proxy's."""
        self._refusal = PROXY_LOGIN_WANTED if behind_proxy else None
        self._parser = httptools.HttpResponseParser(self)
        # Servers that write the size before they know it pad it to a fixed width. No two readers
        # cut such a chunk differently, and what goes on to the caller is framed anew.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self.begin(Inbox())

    def begin(self, inbox: ReplySink, *, is_head_request: bool = False) -> None:
        """Fill *inbox* with the next reply; that to a HEAD request ends with its head."""
        self._inbox: ReplySink = inbox
        self._is_head_request = is_head_request
        self._headers: list[Header] = []
        self._framing: list[Header] = []
        self._unframed = 0
        self._interim_replies = 0
        self._is_after_chunk = False
        self._is_between_chunks = False
        self.is_complete = False
        self.is_reusable = False

    def lone_chunk(self, data: bytes) -> bytes | None:
        """The content of *data* if it is one whole chunk and nothing else, as an event often is.

        llhttp need not see such a chunk. Anything else is None, and has to be fed.
        """
        if not self._is_between_chunks:
            return None
        end = data.find(b"\r\n", 0, _LONGEST_SIZE)
        if _SIZES[data[:end]] != len(data) - end - 4 or data[-2:] != b"\r\n":
            return None
        return data[end + 2 : -2]

    def feed(self, data: bytes) -> None:
        """Read *data*, as much as came.

        Raises:
            BadReply: this is not HTTP/1.x, or more than the reply. The connection must be closed.
            ProxyRefused: a forward proxy wants to know who asks.
        """
        # Bytes that yield no content (a head, trailers, chunk extensions) may not pile up for ever.
        self._unframed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            if isinstance(exc.__context__, BadReply):
                raise exc.__context__ from None
            raise BadReply(str(exc)) from exc
        # Were this line end that of the next chunk's size, `on_chunk_header` would have said so.
        self._is_between_chunks = self._is_after_chunk and data[-2:] == b"\r\n"
        if self._unframed > MAX_HEAD_BYTES and not self.is_complete:
            raise BadReply("its headers are too large")

    def feed_eof(self) -> None:
        """The upstream closed the connection in an orderly way before the reply was complete.

        Raises:
            BadReply: the reply was not over.
        """
        if self._inbox.status == 0:
            raise BadReply("it closed the connection before its reply")
        if self._framing:
            raise BadReply("it closed the connection in the middle of its reply")
        self._finish(is_reusable=False)

    def close(self) -> None:
        """Read nothing more; it cannot begin again."""
        # It and llhttp refer to each other, and such a cycle waits for the garbage collector, with
        # the reply in it.
        del self._parser, self._inbox

    def on_message_begin(self) -> None:
        """A status line begins: the reply's, or that of what follows an interim reply."""
        if self.is_complete:
            raise BadReply("it sent bytes after its reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or, after the body, a trailer."""
        name = name.lower()
        header = (name, value.rstrip(b" \t"))
        self._headers.append(header)
        if name in FRAMING_HEADERS:
            self._framing.append(header)

    def on_headers_complete(self) -> None:
        """A head is there."""
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise BadReply("it does not speak HTTP/1.1")
        if status < FIRST_FINAL_STATUS:
            self._skip_interim_reply(status)
            return
        if status > LAST_STATUS:
            # RFC 9110, section 15: it is none, and a client is not to see it.
            raise BadReply(f"it sent status {status}, which does not exist")
        if status == self._refusal:
            raise ProxyRefused("it answered 407; write user and password into its URL")
        self._check_size()
        _check_framing(self._framing)
        self._inbox.put_head(status, self._headers)
        # Trailers are dropped: they go into a list that nobody has.
        self._headers = []
        if self._is_head_request:
            # llhttp cannot know that no body follows, so its state ends here too.
            self._finish(is_reusable=False)

    def on_body(self, piece: bytes) -> None:
        """Content came: at most one chunk, at most what one read brought."""
        self._unframed = 0
        if self.is_complete:
            raise BadReply("it sent a body to a HEAD request")
        self._inbox.put(piece)

    def on_chunk_header(self) -> None:
        """The size of a chunk is there, or that of the last one, which is 0."""
        self._is_after_chunk = False

    def on_chunk_complete(self) -> None:
        """A chunk is there to its last byte."""
        self._is_after_chunk = True

    def on_message_complete(self) -> None:
        """The reply ended, or an interim one."""
        if self._inbox.status and not self.is_complete:
            self._finish(is_reusable=self._parser.should_keep_alive())

    def _check_size(self) -> None:
        if len(self._headers) > MAX_HEADERS:
            raise BadReply("it sent too many headers")
        # What was read so far may hold content too; only then is it worth a closer look.
        if self._unframed > MAX_HEAD_BYTES:
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > MAX_HEAD_BYTES:
                raise BadReply("its headers are too large")

    def _skip_interim_reply(self, status: int) -> None:
        self._interim_replies += 1
        # 101 would leave HTTP, which nobody asked for; below 100 there is no status at all.
        if status <= SWITCHING_PROTOCOLS and status != CONTINUE:
            raise BadReply(f"it sent status {status}, which nobody asked for")
        if self._interim_replies > MAX_INTERIM_REPLIES:
            raise BadReply("it sent interim replies without end")
        # llhttp would read such a body, and it would stand in front of the final reply's.
        if any(header != (b"content-length", b"0") for header in self._framing):
            raise BadReply(f"it sent status {status} with a body, which has none")
        self._headers = []
        self._framing = []

    def _finish(self, *, is_reusable: bool) -> None:
        self.is_complete = True
        self.is_reusable = is_reusable
        self._inbox.finish()


def _check_framing(framing: list[Header]) -> None:
    """Refuse what two readers could cut differently; llhttp refuses two lengths, and both kinds."""
    for name, value in framing:
        if name == b"transfer-encoding" and (len(framing) > 1 or value.lower() != b"chunked"):
            raise BadReply("it uses a transfer-encoding other than chunked")
