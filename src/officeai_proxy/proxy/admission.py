"""A request as ASGI hands it over in, an admitted `Call` out, or the error that refuses it.

Everything that can be refused is refused here, before the upstream hears of the call.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit
from uuid import uuid4

from starlette.types import Receive, Scope

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.labels import plain_label
from officeai_proxy.auth.limits.estimate import NO_TOKENS, estimate_tokens
from officeai_proxy.auth.limits.ledger import Lease, Ledger
from officeai_proxy.auth.permissions import check_scope, check_user
from officeai_proxy.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ProxyError,
    RecordingUnavailable,
    WebSocketsNotForwarded,
)
from officeai_proxy.model import Caller, Limits
from officeai_proxy.model import Scope as KeyScope
from officeai_proxy.proxy.bodies import check_length, pieces_of, read_body
from officeai_proxy.proxy.body_reading import NOTHING_SAID, Body, BodyReader, is_form
from officeai_proxy.proxy.call import SPENDING, Call
from officeai_proxy.proxy.context import ContextAdder
from officeai_proxy.proxy.exchange_ids import ExchangeIds
from officeai_proxy.proxy.headers import RequestHeaders, asks_for_websocket, read_request_headers
from officeai_proxy.proxy.upstream import Header, HeadStart, UpstreamRequest
from officeai_proxy.settings import OnFull, Record, Settings

PREFIX = b"/v1"
CHAT_COMPLETIONS = "/v1/chat/completions"
_CHATS = CHAT_COMPLETIONS.encode()

_TEXTS = frozenset((CHAT_COMPLETIONS, "/v1/responses", "/v1/completions", "/v1/embeddings"))
"""Where text is sent, as JSON, and something of the reply is read while it passes: the end of a
stream, the usage at its end. That can be seen only in bytes that are not compressed."""

_JSON = "application/json"

SMALL_BODY = 65536
"""A body up to this many bytes is held, so that it can be sent again on a fresh connection."""


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class Asked:
    """What the headers of a call say to this proxy: who calls, and what to record it under."""

    caller: Caller
    user: str | None
    session: str | None
    is_recorded: bool
    context: int | None


@dataclass(slots=True, kw_only=True)
class Opening:
    """A request whose head was checked, and whose body is still to come.

    `content_length` is None when the caller did not tell; `forwarded` are the headers that the
    upstream gets, and `start` is the head that they make. `is_text`: its body is JSON, whatever
    type it is said to have, and takes tokens; a chat is one.
    """

    headers: RequestHeaders
    asked: Asked
    method: str
    path: bytes
    target: bytes
    forwarded: list[Header]
    start: HeadStart
    content_length: int | None
    is_chat: bool
    is_text: bool
    client_ip: str
    started_ns: int
    started_mono: int

    @property
    def is_held(self) -> bool:
        """Whether the body has to be read or is small; any other is passed on as it comes."""
        length, headers = self.content_length, self.headers
        if self.is_text or not headers.has_body:
            return self.is_text
        is_small = length is not None and length <= SMALL_BODY
        return is_small or "json" in headers.content_type or is_form(headers, self.path)


class Admission:
    """Admits calls to one upstream."""

    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        *,
        ledger: Ledger,
        context: ContextAdder,
        is_keeping: Callable[[], bool],
    ) -> None:
        """*is_keeping* tells whether the journal takes what is recorded."""
        self._keyring = keyring
        self._ledger = ledger
        self._context = context
        self._is_keeping = is_keeping
        self._ids = ExchangeIds()
        self.limit = settings.max_body_bytes
        self._records_all = settings.record is Record.ALL
        self._refuses_unrecorded = settings.on_full is OnFull.REFUSE
        self._bodies = BodyReader(settings.model_aliases, limit=self.limit)
        self._base_path = urlsplit(settings.upstream_base_url).path.rstrip("/").encode()
        key = settings.upstream_api_key
        self._credentials: list[Header] = (
            [(b"authorization", f"Bearer {key.get_secret_value()}".encode())] if key else []
        )

    def open(self, scope: Scope) -> Opening:
        """Check the head of the request in *scope*, before any of its body is read.

        Raises:
            RequestRefused: the caller has to change something.
            Unavailable: this cannot be recorded, or the key not be checked, right now.
        """
        started_ns, started_mono = time.time_ns(), time.monotonic_ns()
        headers = read_request_headers(scope["headers"], keeps_account=not self._credentials)
        method = scope["method"]
        path = _without_empty_steps(scope["path"])
        is_chat = method == "POST" and path == CHAT_COMPLETIONS
        is_text = method == "POST" and path in _TEXTS
        client_ip = scope["client"][0] if scope.get("client") else "unknown"
        asked = self._asked(headers, client_ip, is_chat=is_chat)
        if method == "TRACE":
            # It gives the request back as it came, and with it the upstream's key.
            raise MethodNotAllowed("TRACE is not forwarded.")
        if method == "GET" and asks_for_websocket(scope["headers"]):
            raise WebSocketsNotForwarded
        raw_path = _CHATS if is_chat else _raw_path(scope)
        target = self._target(raw_path, scope.get("query_string", b""))
        check_length(headers.content_length, self.limit)
        return Opening(
            headers=headers,
            asked=asked,
            method=method,
            path=raw_path,
            target=target,
            forwarded=self._forwarded(headers, is_read=is_text),
            start=HeadStart(),
            content_length=headers.content_length,
            is_chat=is_chat,
            is_text=is_text,
            client_ip=client_ip,
            started_ns=started_ns,
            started_mono=started_mono,
        )

    def again(
        self, before: Opening, *, length: int, session: bytes | None, user: bytes | None
    ) -> Opening | None:
        """What `open` gives for a chat whose head says what that of *before* said but for these.

        Only what may have changed is looked at: the names, whose the key is, and whether calls can
        be recorded. None when there is more to look at, or to refuse; then it has to be opened.
        """
        headers, is_recorded = before.headers, before.asked.is_recorded
        is_named = session is not None or not is_recorded
        is_refused = is_recorded and self._refuses_unrecorded and not self._is_keeping()
        if not is_named or is_refused or length > self.limit:
            return None
        try:
            caller = self._keyring.caller_of(headers.bearer(), before.client_ip)
            named = check_user(caller, plain_label(user), param="X-User-ID")
            asked = Asked(caller, named, plain_label(session), is_recorded, None)
        except ProxyError:
            return None
        if caller is not before.asked.caller:
            return None
        return Opening(
            headers=headers,
            asked=asked,
            method=before.method,
            path=before.path,
            target=before.target,
            forwarded=before.forwarded,
            start=before.start,
            content_length=length,
            is_chat=before.is_chat,
            is_text=before.is_text,
            client_ip=before.client_ip,
            started_ns=time.time_ns(),
            started_mono=time.monotonic_ns(),
        )

    async def admit(self, scope: Scope, receive: Receive, *, on_sent: Callable[[], None]) -> Call:
        """Admit the request in *scope*; *on_sent* is called once its body has come in whole.

        Raises:
            RequestRefused: the caller has to change something, or to wait (TooManyRequests).
            Unavailable: this cannot be recorded, or the key not be checked, right now.
            CallerLeft: the caller hung up before the request was whole.
        """
        opening = self.open(scope)
        if not opening.is_held and opening.headers.has_body:
            pieces = pieces_of(receive, limit=self.limit, then=on_sent)
            return self._call(opening, None, Body(pieces, NOTHING_SAID, None))
        held = await read_body(receive, limit=self.limit) if opening.is_held else None
        call = self.whole(opening, held)
        on_sent()
        return call

    def whole(self, opening: Opening, held: bytes | None) -> Call:
        """The call of a request whose body, *held*, is there to its last byte.

        Raises:
            RequestRefused: the caller has to change something, or to wait (TooManyRequests).
        """
        headers, path = opening.headers, opening.path
        body = self._bodies.read(held, headers, path=path, is_chat=opening.is_chat)
        return self._call(opening, held, body)

    def _call(self, opening: Opening, held: bytes | None, body: Body) -> Call:
        asked, headers = opening.asked, opening.headers
        return Call(
            id=self._ids.next(),
            caller=asked.caller,
            method=opening.method,
            path=opening.path.decode("ascii", "replace"),
            client_ip=opening.client_ip,
            started_ns=opening.started_ns,
            started_mono=opening.started_mono,
            request=self._request(opening, body),
            is_recorded=asked.is_recorded,
            session=asked.session,
            user=asked.user,
            body=held if held and asked.is_recorded else b"",
            body_encoding=headers.content_encoding,
            model_asked=body.chat.model,
            model_sent=body.model_sent,
            is_stream=body.chat.stream,
            retry_count=headers.retry_count,
            context=asked.context,
            # The last thing that can refuse the call: what is booked is sure to be settled.
            lease=None if asked.caller.limits is None else self._leased(opening, held),
        )

    def _leased(self, opening: Opening, body: bytes | None) -> Lease:
        """The call booked on the account of its key, which has limits."""
        caller = opening.asked.caller
        # curl calls everything that it posts a form, and many upstreams do not mind.
        content_type = _JSON if opening.is_text else opening.headers.content_type
        estimate = (
            estimate_tokens(body, content_type=content_type)
            if opening.method == SPENDING
            else NO_TOKENS
        )
        return self._ledger.admit(caller.account, caller.limits or Limits(), estimate)

    def _request(self, opening: Opening, body: Body) -> UpstreamRequest:
        return UpstreamRequest(
            opening.method.encode(),
            opening.target,
            opening.forwarded,
            body.outgoing,
            opening.content_length,
            opening.start,
        )

    def _asked(self, headers: RequestHeaders, client_ip: str, *, is_chat: bool) -> Asked:
        caller = self._keyring.caller_of(headers.bearer(), client_ip)
        check_scope(caller, KeyScope.CHAT)
        user = check_user(caller, headers.user_id(), param="X-User-ID")
        session = headers.session_id()
        if headers.record not in (b"", b"on", b"off"):
            raise InvalidRequest("X-Record can be `on` or `off`.", param="X-Record")
        is_wanted = is_chat and headers.record != b"off"
        if is_wanted and session is None and self._records_all:
            session = str(uuid4())
        is_recorded = is_wanted and session is not None
        if is_recorded and self._refuses_unrecorded and not self._is_keeping():
            raise RecordingUnavailable
        context = (
            self._context.wanted(headers.context, caller, is_recorded=is_recorded)
            if headers.context
            else None
        )
        return Asked(caller, user, session, is_recorded, context)

    def _target(self, raw: bytes, query: bytes) -> bytes:
        """Where the call goes: the base URL's path, then the caller's path as it was written."""
        if raw != PREFIX and not raw.startswith(PREFIX + b"/"):
            raise NotFound("A path whose `/v1/` is written with escapes is not forwarded.")
        if b"/." in raw or b"%" in raw or b"\\" in raw:
            steps = unquote_to_bytes(raw).replace(b"\\", b"/").split(b"/")
            if b".." in steps or b"." in steps:
                raise NotFound("A path with `.` or `..` in it is not forwarded.")
        target = (self._base_path + raw[len(PREFIX) :]) or b"/"
        return target + b"?" + query if query else target

    def _forwarded(self, headers: RequestHeaders, *, is_read: bool) -> list[Header]:
        forwarded = headers.forwarded
        if is_read:
            forwarded = [h for h in forwarded if h[0] != b"accept-encoding"]
            forwarded.append((b"accept-encoding", b"identity"))
        return forwarded + self._credentials


def _without_empty_steps(path: str) -> str:
    """*path* without the slashes that a client put too many."""
    if "//" not in path and path[-1:] != "/":
        return path
    return "/" + "/".join(filter(None, path.split("/")))


def _raw_path(scope: Scope) -> bytes:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw
