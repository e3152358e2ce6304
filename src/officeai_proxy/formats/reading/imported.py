"""What reading a file gives: conversations and faults, and the limits it keeps; reads nothing."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import JsonObject, NewMessage

MAX_MESSAGES = 1_000_000
"""Messages of one conversation."""

_NAMES = UUID("6f1d0f7c-3f0a-5d53-9a55-0a4a3d0f6a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedConversation:
    """One conversation of a file, as a tree.

    `messages` are in an order in which parents come before their children. `parents` has for each
    the place of its parent in `messages`, None at the root. `leaf` is the place where the path
    ends. `user_identifier` is the user in our own files; `foreign_user` is what another program
    calls its user. `is_copy` says that it was written by us to be read: it is less than what it
    was made of, and is never put into that. `size` is about how many bytes it has in the file.
    """

    session_id: str
    created_at: datetime
    updated_at: datetime
    messages: tuple[NewMessage, ...] = ()
    parents: tuple[int | None, ...] = ()
    leaf: int | None = None
    title: str | None = None
    user_identifier: str | None = None
    foreign_user: str | None = None
    deleted_at: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)
    is_copy: bool = False
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a file that cannot be imported, and why."""

    reason: str


Item: TypeAlias = ImportedConversation | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is read.

    `now` stands for times that the file does not tell. `item_bytes` is how large the text of one
    conversation may be; `total_bytes` how much an archive may hold, unpacked.
    """

    now: datetime
    item_bytes: int
    total_bytes: int
    max_messages: int = MAX_MESSAGES

    def check_count(self, messages: int) -> None:
        """Make sure that so many messages may be in one conversation.

        Raises:
            BadItem: they are too many.
        """
        if messages > self.max_messages:
            raise BadItem(f"it has more than {self.max_messages} messages.")


class BadItem(Exception):
    """A conversation of a file cannot be read; the text says why."""


class UnknownFile(UnprocessableInput):
    """The file is none of those that can be imported: an export of this proxy (json, jsonl, md, or
    a zip of them), ChatGPT's conversations.json or its zip, Open WebUI's chat export, or a chat
    exported by Cursor as Markdown.
    """

    def __init__(self, detail: str | None = None) -> None:
        """Say what can be imported, and in *detail* what this file seems to be."""
        known = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{known} {detail}" if detail else known)
        self.detail = detail


def derived_session_id(title: str | None, conversation: object) -> str:
    """The session id for a conversation that names none: the same for the same *conversation*.

    *conversation* is any value whose `repr` says all that tells it from others.
    """
    return str(uuid5(_NAMES, repr((title, conversation))))
