"""Header lists in, header lists out: what may pass between a caller and the upstream, each way.

Names in ASGI scopes and in replies are lower case (ASGI specification; `proxy.upstream`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from officeai_proxy.auth.labels import label, repeated
from officeai_proxy.proxy.upstream import Header

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers about one connection (RFC 9110, section 7.6.1, and its forerunners)."""

_KEPT_FROM_UPSTREAM = HOP_BY_HOP | frozenset(
    (
        # Framing, which the upstream client makes anew.
        b"host",
        b"content-length",
        b"expect",
        # Credentials. SDKs replay the cookies of whoever answered before.
        b"authorization",
        b"cookie",
        # What the caller tells this proxy.
        b"x-session-id",
        b"x-user-id",
        b"x-record",
        b"x-session-context",
        # What this proxy, or one like it, tells its caller.
        b"x-exchange-id",
        b"x-session-context-sent",
        # Where the caller is. The upstream's caller is this proxy.
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"cf-connecting-ip",
        b"fly-client-ip",
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
    )
)

_NOTED = frozenset((b"content-type", b"content-encoding", b"x-stainless-retry-count"))
"""What is forwarded and read as well."""

_OF_THE_CALLERS_ACCOUNT = frozenset(
    (
        b"openai-organization",
        b"openai-project",
        # Azure's and Anthropic's clients have a key of the caller's here. The upstream must not
        # learn it, and might take it instead of the proxy's.
        b"api-key",
        b"x-api-key",
    )
)
"""They name the caller's account, and would be refused or misbilled beside the proxy's key."""

_KEPT_FROM_CALLER = HOP_BY_HOP | frozenset(
    (
        b"set-cookie",
        # These speak of the upstream's host and would be taken for this one's.
        b"alt-svc",
        b"strict-transport-security",
        b"nel",
        b"report-to",
        b"server",
        b"date",
        # Ours alone.
        b"x-session-id",
        b"x-exchange-id",
        b"x-session-context-sent",
    )
)

# No content, Not Modified. The server would wait for a body of the length they may name.
WITHOUT_BODY = (204, 304)

_EVENTS = b"text/event-stream"


@dataclass(slots=True)
class RequestHeaders:
    """A caller's headers, sorted: what is forwarded, and what is said to this proxy.

    `content_length` is None when the caller did not tell; `connection` holds the header's values,
    each of which may name further headers that are not to be forwarded.
    """

    forwarded: list[Header] = field(default_factory=list)
    authorization: list[bytes] = field(default_factory=list)
    session: list[bytes] = field(default_factory=list)
    user: list[bytes] = field(default_factory=list)
    record: bytes = b""
    context: bytes = b""
    content_length: int | None = None
    is_chunked: bool = False
    content_type: str = ""
    content_encoding: str = ""
    retry_count: int = 0

    def session_id(self) -> str | None:
        """The session that the caller names. Raises InvalidRequest when it is not a name."""
        return label("X-Session-ID", self.session)

    def user_id(self) -> str | None:
        """The user that the caller names. Raises InvalidRequest when it is not a name."""
        return label("X-User-ID", self.user)

    @property
    def has_body(self) -> bool:
        """Whether a body comes with the request (RFC 9112, section 6)."""
        return self.is_chunked or bool(self.content_length)

    def bearer(self) -> bytes | None:
        """The one Authorization header. Raises InvalidRequest when there are several."""
        if len(self.authorization) > 1:
            raise repeated("Authorization", len(self.authorization))
        return self.authorization[0] if self.authorization else None


def read_request_headers(headers: Iterable[Header], *, keeps_account: bool) -> RequestHeaders:
    """Sort a caller's *headers*; *keeps_account*: the upstream may learn the caller's account."""
    sorted_ = RequestHeaders()
    forwarded = sorted_.forwarded
    named_by_connection: set[bytes] = set()
    for header in headers:
        name, value = header
        if name not in _KEPT_FROM_UPSTREAM:
            if keeps_account or name not in _OF_THE_CALLERS_ACCOUNT:
                forwarded.append(header)
            if name in _NOTED:
                _note_forwarded(sorted_, name, value)
        elif name == b"connection":
            named_by_connection.update(part.strip().lower() for part in value.split(b","))
        else:
            _note_kept(sorted_, name, value)
    if named_by_connection:
        sorted_.forwarded = [h for h in sorted_.forwarded if h[0] not in named_by_connection]
    return sorted_


def asks_for_websocket(headers: Iterable[Header]) -> bool:
    """Whether one of the protocols that a GET with *headers* would change to is a WebSocket.

    Other offers may be ignored, and the client goes on in HTTP/1.1 (RFC 9110, section 7.8); one who
    wants a WebSocket has nothing to say without it (RFC 6455, section 4.1).
    """
    return any(
        protocol.strip().partition(b"/")[0].lower() == b"websocket"
        for name, value in headers
        if name == b"upgrade"
        for protocol in value.split(b",")
    )


def _note_kept(headers: RequestHeaders, name: bytes, value: bytes) -> None:
    if name == b"authorization":
        headers.authorization.append(value)
    elif name == b"x-session-id":
        headers.session.append(value)
    elif name == b"x-user-id":
        headers.user.append(value)
    elif name == b"x-record":
        # Said twice it is a list (RFC 9110, section 5.3), which is neither `on` nor `off`.
        word = value.strip().lower()
        headers.record = headers.record + b", " + word if headers.record else word
    elif name == b"x-session-context":
        word = value.strip().lower()
        headers.context = headers.context + b", " + word if headers.context else word
    elif name == b"content-length" and value.isdigit():
        headers.content_length = int(value)
    elif name == b"transfer-encoding":
        headers.is_chunked = True


def _note_forwarded(headers: RequestHeaders, name: bytes, value: bytes) -> None:
    if name == b"content-type":
        headers.content_type = value.decode("latin-1").lower()
    elif name == b"content-encoding":
        headers.content_encoding = value.decode("latin-1").strip().lower()
    elif name == b"x-stainless-retry-count" and value.isdigit() and len(value) < 4:
        headers.retry_count = int(value)


def reply_headers(status: int, upstream: Sequence[Header], ours: Sequence[Header]) -> list[Header]:
    """The headers of a reply to the caller: what of the upstream's may pass, and *ours*."""
    named_by_connection: set[bytes] = set()
    passed: list[Header] = []
    is_stream = False
    for header in upstream:
        name, value = header
        if name == b"connection":
            named_by_connection.update(part.strip().lower() for part in value.split(b","))
        elif name not in _KEPT_FROM_CALLER:
            passed.append(header)
            is_stream |= name == b"content-type" and value.lower().startswith(_EVENTS)
    if named_by_connection:
        passed = [h for h in passed if h[0] not in named_by_connection]
    if status in WITHOUT_BODY:
        passed = [h for h in passed if h[0] != b"content-length"]
    if is_stream:
        _keep_unbuffered(passed)
    passed.extend(ours)
    return passed


def _keep_unbuffered(headers: list[Header]) -> None:
    """Tell whatever stands between caller and proxy to pass events on as they come."""
    names = {name for name, _ in headers}
    if b"cache-control" not in names:
        headers.append((b"cache-control", b"no-cache"))
    if b"x-accel-buffering" not in names:
        headers.append((b"x-accel-buffering", b"no"))


def value_of(headers: Sequence[Header], name: bytes) -> str:
    """The first value of *name*, or nothing."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""
