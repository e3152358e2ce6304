"""What an export reads, in the form in which encoders take it; nothing here knows a file format.

An encoder gets *passages*: some consecutive messages of one conversation. A conversation may come
in any number of them, so that one of a million messages needs no more memory than a short one.
Times and metadata are text, as storage hands them over: neither has to be parsed to be written.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias, cast

from officeai_proxy.model import JsonObject
from officeai_proxy.wire.jsontext import dumps_readable, loads, readable
from officeai_proxy.wire.messages import rebuild


class Line(NamedTuple):
    """A stored message, field by field as a row of the database has it.

    `timestamp` is ISO 8601 in UTC with Z, and has microseconds when there are any.
    """

    conversation_id: int
    id: int
    parent_id: int | None
    role: str
    content: str
    model_name: str | None
    token_count: int | None
    timestamp: str
    metadata: str | None
    extra: str | None
    exchange_id: str | None
    outcome: str | None
    finish_reason: str | None


Row: TypeAlias = tuple[Any, ...]
"""The fields of a `Line`, in its order; the content as UTF-8 for an encoder that takes it so."""


class ConversationHead(NamedTuple):
    """A conversation without its messages. `leaf_number` counts from 1, in the order of storing.

    Its times are ISO 8601 in UTC with Z.
    """

    id: int
    session_id: str
    title: str | None
    user_identifier: str
    metadata: str | None
    created_at: str
    updated_at: str
    deleted_at: str | None
    message_count: int
    path_count: int
    leaf_id: int | None
    leaf_number: int | None = None

    @property
    def name(self) -> str:
        """What to call it: its title, or its session when it has none."""
        return self.title or self.session_id


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive messages of one conversation, oldest first.

    `rows` are plain tuples of the fields of a `Line`: whoever writes a million of them takes them
    apart as they are, all others read `lines`.
    """

    conversation: ConversationHead
    rows: Sequence[Row]
    is_first: bool = True
    is_last: bool = True

    @property
    def lines(self) -> list[Line]:
        """The messages with names for their fields."""
        return list(map(Line._make, self.rows))


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was written."""

    conversations: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is to be written.

    `inner` is the format of the files in an archive, `filters` says for its manifest which
    conversations were asked for.
    """

    exported_at: datetime
    csv_safe: bool = True
    inner: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)


class Encoder(ABC):
    """Writes one file. The file is whole only with what `finish` gives.

    One that `takes_utf8` gets contents as bytes where storage has them so: what is not looked at
    has not to be decoded to be written again.
    """

    takes_utf8: bool = False

    def start(self) -> bytes:
        """How the file begins."""
        return b""

    @abstractmethod
    def encode(self, passages: Sequence[Passage]) -> bytes:
        """The bytes of some passages, which follow those of the call before."""

    def finish(self, counts: Counts) -> Iterator[bytes]:  # noqa: ARG002 - few files tell them
        """How the file ends, in pieces."""
        return iter(())

    def close(self) -> None:  # noqa: B027 - most need nothing but memory
        """Give up what was needed for writing, also when the file is not finished."""


def metadata_of(line: Line) -> str:
    """A message's metadata as JSON text; "" when there are none."""
    return metadata_text(line.metadata, line.exchange_id, line.outcome, line.finish_reason)


def metadata_text(
    metadata: str | None, exchange_id: str | None, outcome: str | None, finish_reason: str | None
) -> str:
    """A message's metadata as JSON text, from the fields of its line; "" when there are none.

    What is known of the call that brought the message is part of it, as in the answers of the API.
    """
    if outcome is None and finish_reason is None and exchange_id is None:
        return readable(metadata) if metadata else ""
    if not metadata and outcome is None and exchange_id is not None:
        # Nearly all messages that were recorded; a reason is a word.
        if finish_reason is None:
            return f'{{"exchange_id":"{exchange_id}"}}'
        if finish_reason.isidentifier() and finish_reason.isascii():
            return f'{{"exchange_id":"{exchange_id}","finish_reason":"{finish_reason}"}}'
    known = {"exchange_id": exchange_id, "outcome": outcome, "finish_reason": finish_reason}
    given = cast("JsonObject", loads(metadata)) if metadata else {}
    there = {name: value for name, value in known.items() if value is not None}
    return dumps_readable({**given, **there})


def raw_of(line: Line) -> JsonObject:
    """The OpenAI message whole."""
    return rebuild(line.role, line.content, line.extra)
