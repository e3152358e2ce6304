"""What happened in, a row of the audit log with its hash out; pure: no clock and no database.

Each row carries the hash of the row before it, so that a row cannot be changed, taken out, moved or
slipped in without breaking the chain. The hash of a row is SHA-256 over this JSON list, in UTF-8,
without spaces and with everything beyond ASCII as an escape:

    ["officeai-audit-1", id, at, workspace, actor, action, target_kind, detail, client_ip,
     is_sealed, names_digest, previous]

`at` is ISO 8601 with microseconds and `+00:00`; `detail` is the JSON text as stored; digests are
hexadecimal; what is absent is null. Names of people and sessions are not in it, but their digest,
SHA-256 over a salt of the row and the JSON list [user, target]. So a name can be struck out of the
log when a person is erased, and the chain still holds:

- as it was written, a row has names and salt, and whoever reads it can check the digest;
- a sealed row has the salt and no names: whoever knows the name can prove that it is meant;
- an anonymised row has neither, and nothing leads back to the name.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

VERSION = "officeai-audit-1"
GENESIS = bytes(32)
"""What stands for the hash of the row before the first."""

SALT_BYTES = 16

Detail: TypeAlias = Mapping[str, str | int]
"""Names of ours and numbers: counts, formats, reasons. Never what somebody said, never a key."""


class Action(StrEnum):
    """What was done: a kind of thing, and what happened to it."""

    LIST_CONVERSATIONS = "conversation.list"
    READ_CONVERSATION = "conversation.read"
    CREATE_CONVERSATION = "conversation.create"
    CHANGE_CONVERSATION = "conversation.change"
    BIN_CONVERSATION = "conversation.bin"
    RESTORE_CONVERSATION = "conversation.restore"
    ERASE_CONVERSATION = "conversation.erase"
    EXPORT_CONVERSATION = "conversation.export"
    EXPORT_ALL = "workspace.export"
    IMPORT = "workspace.import"
    LIST_MESSAGES = "message.list"
    ADD_MESSAGES = "message.add"
    SEARCH = "message.search"
    LIST_USERS = "user.list"
    READ_USER = "user.read"
    EXPORT_USER = "user.export"
    CLEAR_USER = "user.clear"
    ERASE_USER = "user.erase"
    LIST_CALLS = "call.list"
    READ_STATISTICS = "call.statistics"
    LIST_KEYS = "key.list"
    CREATE_KEY = "key.create"
    ROTATE_KEY = "key.rotate"
    REVOKE_KEY = "key.revoke"
    LIST_AUDIT = "audit.list"
    PRUNE_AUDIT = "audit.prune"
    RETAIN = "workspace.prune"
    REINDEX_DATABASE = "database.reindex"

    @property
    def kind(self) -> str:
        """The kind of thing that it is done to."""
        return self.value.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: who did what to whose what, when, from where.

    `actor` is a key's id, or the word for what acts without one; `workspace` is None when it was
    the database as a whole. `user` is whose data it was, `target` the name of the thing.
    """

    at: datetime
    actor: str
    action: Action
    workspace: str | None = None
    user: str | None = None
    target: str | None = None
    detail: Detail = field(default_factory=dict)
    client_ip: str | None = None
    is_sealed: bool = False

    @property
    def detail_text(self) -> str | None:
        """The detail as it is stored; None for an empty one."""
        if not self.detail:
            return None
        return json.dumps(self.detail, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the log as it is stored."""

    id: int
    at: datetime
    workspace: str | None
    actor: str
    action: str
    user_identifier: str | None
    target_kind: str
    target: str | None
    detail: str | None
    client_ip: str | None
    is_sealed: bool
    names_salt: bytes | None
    names_digest: bytes
    previous: bytes
    hash: bytes

    @property
    def is_anonymised(self) -> bool:
        """Whether the names were struck out for good."""
        return self.names_salt is None

    def expected_hash(self) -> bytes:
        """What the hash must be, by what is in the row."""
        parts = (
            VERSION,
            self.id,
            self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            self.workspace,
            self.actor,
            self.action,
            self.target_kind,
            self.detail,
            self.client_ip,
            self.is_sealed,
            self.names_digest.hex(),
            self.previous.hex(),
        )
        return hashlib.sha256(_canonical(parts)).digest()

    def is_about(self, user: str | None, target: str | None) -> bool:
        """Whether the row's digest is that of these names."""
        salt = self.names_salt
        return salt is not None and digest_of_names(salt, user, target) == self.names_digest

    def has_its_names(self) -> bool:
        """Whether names, salt and digest fit one another as far as they are there."""
        if self.is_sealed or self.is_anonymised:
            return self.user_identifier is None and self.target is None
        return self.is_about(self.user_identifier, self.target)


def row_of(event: Event, *, number: int, previous: bytes) -> Row:
    """The row that *event* becomes as the one with the id *number*, behind the hash *previous*."""
    salt = os.urandom(SALT_BYTES)
    unsigned = Row(
        id=number,
        at=event.at.astimezone(UTC),
        workspace=event.workspace,
        actor=event.actor,
        action=event.action.value,
        user_identifier=None if event.is_sealed else event.user,
        target_kind=event.action.kind,
        target=None if event.is_sealed else event.target,
        detail=event.detail_text,
        client_ip=event.client_ip,
        is_sealed=event.is_sealed,
        names_salt=salt,
        names_digest=digest_of_names(salt, event.user, event.target),
        previous=previous,
        hash=b"",
    )
    return replace(unsigned, hash=unsigned.expected_hash())


def digest_of_names(salt: bytes, user: str | None, target: str | None) -> bytes:
    """What a row keeps of its names for ever."""
    return hashlib.sha256(salt + _canonical((user, target))).digest()


def _canonical(parts: tuple[str | int | None, ...]) -> bytes:
    return json.dumps(parts, separators=(",", ":")).encode()
