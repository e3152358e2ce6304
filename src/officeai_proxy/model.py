"""The nouns of the project as values; no behaviour that needs a database or a network.

None is changed once it is made. Those that are made for every call are not frozen all the same: a
frozen dataclass sets each of its fields by a call of its own, an eighth of the time that a call
takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"
"""A JSON value that this project does not own the shape of."""

JsonObject: TypeAlias = dict[str, Json]

DEFAULT_WORKSPACE = "default"

FIRST_ERROR_STATUS = 400
"""From here on a status says that something went wrong (RFC 9110, section 15)."""

NANOSECONDS = 1_000_000_000

LISTED_NAME = 255
"""Characters of a model's name in the call log and in lists: an index takes no text of any size."""

MAX_INTEGER = 2**63 - 1
"""The largest integer that both databases store."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_from_ns(epoch_ns: int) -> datetime:
    """The moment *epoch_ns* nanoseconds after 1970, in UTC, to the microsecond."""
    seconds, rest = divmod(epoch_ns, NANOSECONDS)
    return EPOCH + timedelta(0, seconds, rest // 1000)


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """*moment* in UTC; one without a zone is taken for UTC.

    Raises:
        OverflowError: in UTC it is in no year from 1 to 9999.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso_text(moment: datetime, *, timespec: str = "auto") -> str:
    """*moment* in ISO 8601, to the unit *timespec*; UTC is written as Z."""
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def counted(number: int, noun: str) -> str:
    """*number* of *noun* in words: `1 call`, `1,204 calls`; for nouns whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class Scope(StrEnum):
    """What a key may be used for."""

    CHAT = "chat"
    READ = "read"
    WRITE = "write"
    EXPORT = "export"
    ADMIN = "admin"


class Role(StrEnum):
    """Who speaks in a message (OpenAI API reference, chat messages)."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


class Outcome(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    CLIENT_CLOSED = "client_closed"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    SHUTDOWN = "shutdown"
    INTERRUPTED = "interrupted"
    TRUNCATED = "truncated"


FAILED = (Outcome.UPSTREAM_ERROR, Outcome.UPSTREAM_TIMEOUT, Outcome.SHUTDOWN, Outcome.INTERRUPTED)
"""How calls end that did not give their caller what was asked for. A caller who left, and a reply
that was whole for the caller and too large for the record, are no errors."""


class Durability(StrEnum):
    """What an exchange must have reached before the client sees the end of its reply."""

    MEMORY = "memory"
    PROCESS = "process"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a key may do; None: as much as it likes.

    `rpm` and `tpm` are requests and tokens in any 60 seconds, `concurrency` calls at one time.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """What one key used on one host in the last minute: numbers per second, the newest first.

    `age` is the seconds since it was told; the first numbers are of the second of telling.
    """

    account: str
    running: int
    requests: Sequence[int]
    tokens: Sequence[int]
    age: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.running and not self.requests and not self.tokens


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds the key of a request: one workspace, some scopes, perhaps one user.

    `limits` is None for a key without any; `account` names what they are counted on.
    """

    key_id: str
    workspace: str = DEFAULT_WORKSPACE
    scopes: frozenset[Scope] = frozenset(Scope)
    user: str | None = None
    expires_at: datetime | None = None
    limits: Limits | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A managed key as it is stored: never the key itself, only its SHA-256.

    `replaces` is the first of the keys that it took the place of by rotation: their calls count on
    the same limits.
    """

    id: str
    name: str
    digest: bytes
    hint: str
    workspace: str
    scopes: frozenset[Scope]
    created_at: datetime
    user: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    limits: Limits | None = None
    replaces: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether the key opens anything at *now*."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired

    @property
    def account(self) -> str:
        """What the key's limits are counted on."""
        return self.replaces or self.id

    def caller(self) -> Caller:
        """The caller whom this key stands for."""
        return Caller(
            self.id,
            self.workspace,
            self.scopes,
            self.user,
            expires_at=self.expires_at,
            limits=self.limits,
            account=self.account,
        )


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One proxied call as it went over the wire, before anything of it is parsed.

    Times are nanoseconds: `started_ns` since 1970 (wall clock), the others since the start of the
    call (monotonic clock), so that none can be negative. `status` is what the client was told, and
    None when it was told nothing. `session` and `user` are None when the caller named none. Of a
    call whose content is not recorded (`is_recorded`), `request` and `reply` are empty, and
    `model_told` and `usage` are what the reply said of itself.
    """

    id: UUID
    workspace: str
    key_id: str
    method: str
    path: str
    upstream: str
    started_ns: int
    duration_ns: int
    outcome: Outcome
    client_ip: str
    is_recorded: bool = False
    session: str | None = None
    user: str | None = None
    status: int | None = None
    first_byte_ns: int | None = None
    model_asked: str | None = None
    model_sent: str | None = None
    stream: bool = False
    retry_count: int = 0
    error: str | None = None
    content_type: str = ""
    content_encoding: str = ""
    request_encoding: str = ""
    model_told: str | None = None
    usage: str | None = None
    request: bytes = b""
    reply: bytes = b""

    @property
    def started_at(self) -> datetime:
        """When the request arrived."""
        return utc_from_ns(self.started_ns)

    @property
    def ended_at(self) -> datetime:
        """When the reply ended, however it ended."""
        return utc_from_ns(self.started_ns + self.duration_ns)


@dataclass(slots=True)
class Usage:
    """Tokens as the upstream counted them.

    `cached_tokens` are part of the prompt, `reasoning_tokens` of the completion. `audio_tokens`, of
    both, are known only while a call is recorded: they decide whether its cost can be told.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


@dataclass(slots=True, kw_only=True)
class NewMessage:
    """A message on its way into storage.

    `content` is always text; `extra` is what of the OpenAI message does not follow from role and
    content, as JSON text (see `wire.messages`); `identity` tells equal messages (see
    `wire.identity`).
    """

    role: str
    content: str
    identity: int
    timestamp: datetime
    extra: str | None = None
    model_name: str | None = None
    token_count: int | None = None
    finish_reason: str | None = None
    outcome: Outcome = Outcome.COMPLETE
    metadata: JsonObject | None = None

    @property
    def is_instruction(self) -> bool:
        """Whether this is a system or developer message: said to the model, not in the talk."""
        return self.role in (Role.SYSTEM, Role.DEVELOPER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stored message, as a reader gets it. `raw` is the OpenAI message whole."""

    id: int
    parent_id: int | None
    role: str
    content: str
    model_name: str | None
    token_count: int | None
    timestamp: datetime
    metadata: JsonObject
    raw: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A stored conversation without its messages; `message_count` counts the whole tree."""

    id: int
    session_id: str
    title: str | None
    user_identifier: str
    workspace: str
    metadata: JsonObject
    message_count: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """One user of a workspace: what is there of them. Only `binned` counts what is in the bin."""

    user_identifier: str
    conversations: int
    messages: int
    binned: int
    first_seen_at: datetime
    last_active_at: datetime


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """A line of the call log: numbers and names of one exchange, none of its content.

    `model_sent`, which an alias makes of `model_asked`, is there for the price and is not stored.
    """

    exchange_id: UUID
    workspace: str
    key_id: str
    method: str
    path: str
    upstream: str
    started_at: datetime
    latency_ms: float
    outcome: Outcome
    client_ip: str
    user: str | None = None
    session: str | None = None
    status: int | None = None
    ttft_ms: float | None = None
    model_asked: str | None = None
    model_sent: str | None = None
    model_served: str | None = None
    stream: bool = False
    retry_count: int = 0
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
