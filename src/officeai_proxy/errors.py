"""The errors of this project as one tree; each knows its HTTP status and OpenAI's words.

    ProxyError
    ├── ConfigurationError            the program cannot start like this
    ├── Unopenable                    what is stored is not what was sealed
    ├── RequestRefused                the caller has to change something (4xx, 501)
    │   ├── InvalidRequest            400
    │   │   └── InvalidJson
    │   ├── InvalidKey                401
    │   ├── NotAllowed                403
    │   ├── NotFound                  404
    │   ├── MethodNotAllowed          405
    │   ├── Conflict                  409
    │   │   ├── AmbiguousSession
    │   │   └── KeyMade
    │   ├── BodyTooLarge              413
    │   ├── UnsupportedMedia          415
    │   │   └── UnsupportedEncoding
    │   ├── UnprocessableInput        422
    │   ├── WebSocketsNotForwarded    501
    │   ├── TooManyExports            429
    │   └── TooManyRequests           429, and says when to try again
    │       ├── RequestsLimited
    │       ├── TokensLimited
    │       └── TooManyWrongKeys
    ├── UpstreamError                 the upstream did not do its part
    │   ├── UpstreamUnreachable       502
    │   ├── UpstreamBroke             502
    │   ├── UpstreamRefusedKey        502
    │   └── UpstreamTimedOut          504
    └── Unavailable                   we cannot do our part now (503)
        ├── DatabaseUnavailable
        │   ├── DatabaseDamaged
        │   │   └── SearchIndexDamaged
        │   ├── DatabaseIncomplete
        │   ├── DatabaseFull
        │   ├── DatabaseMoved
        │   └── DatabaseOnlyReads
        ├── KeysUnavailable
        ├── RecordingUnavailable
        ├── SearchTooSlow
        ├── NumbersUnavailable
        ├── Vanished
        ├── NoRoom
        └── ShuttingDown

The message of an error is read by a person: it says what is wrong and what to do next. The field
names are those of OpenAI's error object (API reference, "Error codes"). An error of a single place
stands there: those of a connection in `server.refusals`, those of a file that is written beside it.
"""

from typing import ClassVar

from typing_extensions import override

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Those that an address may take; CONNECT and TRACE none does."""

BROKE_DOWN = "The proxy failed on this call; its log says why."
"""What a caller hears of a fault of ours that nobody foresaw."""


class ProxyError(Exception):
    """Something went wrong inside the proxy."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None
    may_pass: ClassVar[bool] = True
    """Whether the same request may succeed in a while. OpenAI's SDKs send one again that got 408,
    409, 429 or 5xx, unless they are told that it cannot."""

    def __init__(self, message: str | None = None, *, param: str | None = None) -> None:
        """Keep *message* (the class's docstring when none is given) and the field it is about."""
        # A docstring may be on several lines, and a message is one.
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.param = param
        super().__init__(self.message)


class ConfigurationError(ProxyError):
    """The configuration cannot be used."""


class Unopenable(ProxyError):
    """A sealed value cannot be opened: it was changed, moved, or sealed with another key."""

    code = "unopenable"
    may_pass = False


class RequestRefused(ProxyError):
    """The request cannot be accepted as it is."""

    status = 400
    type = "invalid_request_error"


class InvalidRequest(RequestRefused):
    """The request is not valid."""


class InvalidJson(InvalidRequest):
    """The body is not valid JSON."""

    code = "invalid_json"


class InvalidKey(RequestRefused):
    """Incorrect API key provided. Send a key of this proxy as `Authorization: Bearer <key>`."""

    status = 401
    code = "invalid_api_key"


class NotAllowed(RequestRefused):
    """This key is not allowed to do that."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class NotFound(RequestRefused):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class MethodNotAllowed(RequestRefused):
    """This address does not take that method."""

    status = 405
    code = "method_not_supported"

    def __init__(self, message: str | None = None, *, allow: tuple[str, ...] = METHODS) -> None:
        """*allow* is the methods that the address takes (RFC 9110, section 15.5.6)."""
        super().__init__(message)
        self.allow = allow


class Conflict(RequestRefused):
    """It exists already."""

    status = 409
    code = "conflict"
    may_pass = False


class AmbiguousSession(Conflict):
    """Several users have a session of this id; add `?user_identifier=` to choose one."""

    code = "ambiguous_session"


class KeyMade(Conflict):
    """This key was made already, and was shown then; make another, and revoke this one."""


class BodyTooLarge(RequestRefused):
    """The request body is too large."""

    status = 413
    code = "request_too_large"


class UnsupportedMedia(RequestRefused):
    """The body is of a type that this route does not read."""

    status = 415
    code = "unsupported_media_type"


class UnsupportedEncoding(UnsupportedMedia):
    """The body has an encoding that is not read here; use gzip, deflate, x-gzip or identity."""

    code = "unsupported_encoding"


class UnprocessableInput(RequestRefused):
    """A value in the request cannot be used."""

    status = 422
    code = "invalid_value"


class WebSocketsNotForwarded(RequestRefused):
    """WebSockets are not forwarded by this proxy; connect to the model's server itself for them."""

    status = 501
    code = "websocket_not_supported"
    may_pass = False


class TooManyExports(RequestRefused):
    """Too many exports run at this moment; try again when one of them has ended."""

    status = 429
    type = "rate_limit_error"
    code = "too_many_exports"


class TooManyRequests(RequestRefused):
    """Too much in too short a time; try again later."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: int = 1,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """*retry_after* is whole seconds; *headers* go with the answer."""
        super().__init__(message)
        self.retry_after = retry_after
        self.headers = headers


class RequestsLimited(TooManyRequests):
    """Rate limit reached for this key on requests; try again later."""


class TokensLimited(TooManyRequests):
    """Rate limit reached for this key on tokens; try again later."""

    type = "tokens"


class TooManyWrongKeys(TooManyRequests):
    """Too many incorrect API keys came from this address. Send a key of this proxy."""

    code = "too_many_wrong_keys"
    may_pass = False


class UpstreamError(ProxyError):
    """The upstream did not answer as it should."""

    status = 502
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """The upstream cannot be reached."""

    code = "upstream_unreachable"


class UpstreamBroke(UpstreamError):
    """The upstream broke off before its reply was whole."""

    code = "upstream_disconnected"


class UpstreamRefusedKey(UpstreamError):
    """The upstream refused the proxy's own key. Whoever runs it: set OFFICEAI_UPSTREAM_API_KEY."""

    code = "upstream_key_refused"
    may_pass = False


class UpstreamTimedOut(UpstreamError):
    """The upstream stayed silent for too long."""

    status = 504
    code = "upstream_timeout"


class Unavailable(ProxyError):
    """The proxy cannot do this right now; try again in a moment."""

    status = 503
    code = "unavailable"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached right now. Calls go on and are kept; try this again soon."""

    code = "database_unavailable"

    def __init__(self, message: str | None = None, *, said: str = "") -> None:
        """*said* is what the database or the system said: for who runs the program, not callers."""
        super().__init__(message)
        self.said = said

    @override
    def __str__(self) -> str:
        """The message and what was said, for the log and the command line."""
        return f"{self.message} It said: {self.said}" if self.said else self.message


class DatabaseDamaged(DatabaseUnavailable):
    """The database file is damaged: restore a backup, or rescue it by `sqlite3 FILE .recover`."""

    code = "database_damaged"
    may_pass = False


class SearchIndexDamaged(DatabaseDamaged):
    """The search index is damaged: run `officeai-proxy db reindex`. Calls go on and are kept."""


class DatabaseIncomplete(DatabaseUnavailable):
    """The database lacks a table, or a right on one; calls go on. The proxy's log says which."""


class DatabaseFull(DatabaseUnavailable):
    """The database's disk is full; calls wait. Make room on it: to delete here needs some, too."""


class DatabaseMoved(DatabaseUnavailable):
    """The database file was moved or replaced; calls wait. Put it back, or start the proxy anew."""


class DatabaseOnlyReads(DatabaseUnavailable):
    """The database only reads; calls wait. Let it write, or name the server that does."""


class KeysUnavailable(Unavailable):
    """This key cannot be checked while the database is away; try again soon."""

    code = "auth_unavailable"


class RecordingUnavailable(Unavailable):
    """Recording is not possible now, and this proxy is set to refuse what it cannot record."""

    code = "recording_unavailable"


class Vanished(Unavailable):
    """A conversation was deleted for good while it was being read; start again."""

    code = "vanished_meanwhile"


class NoRoom(Unavailable):
    """The proxy's disk has no room for this file; make some, then send the file again."""

    code = "no_room"


class NumbersUnavailable(Unavailable):
    """What was counted cannot be read: look at the folder `metrics` of the data directory."""

    code = "metrics_unavailable"


class SearchTooSlow(Unavailable):
    """The search took too long. Ask for rarer words, or narrow it to a user, a role or a time."""

    code = "search_too_slow"


class ShuttingDown(Unavailable):
    """The proxy is stopping; try again in a moment."""

    code = "shutting_down"
