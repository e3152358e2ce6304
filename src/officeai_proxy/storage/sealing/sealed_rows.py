"""Values on their way into rows, sealed there, and values of rows opened; nothing when it is off.

A text is sealed for its place: the column and the ids of its row. A message's place has the id of
its conversation too, so that nothing can be moved into another conversation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Row

from officeai_proxy.crypto.sealing import Sealer

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Values: TypeAlias = Mapping[str, Any]

MESSAGE_TEXTS = ("content", "metadata", "extra")
CONVERSATION_TEXTS = ("title", "metadata")
ALL_CONVERSATION_TEXTS = (*CONVERSATION_TEXTS, "instructions")
"""Those that people read, and what a conversation keeps of its path."""


def message_place(column: str, conversation_id: int, message_id: int) -> str:
    """Where a text of a message stands."""
    return f"conversation_messages.{column}/{conversation_id}/{message_id}"


def conversation_place(column: str, conversation_id: int) -> str:
    """Where a text of a conversation stands."""
    return f"conversations.{column}/{conversation_id}"


def error_place(row_id: int) -> str:
    """Where the error of a call stands."""
    return f"exchanges.error/{row_id}"


def seal_message(values: Values, sealer: Sealer | None) -> Values:
    """The values of a new row of `conversation_messages`, sealed."""
    if sealer is None:
        return values
    number, place = values["id"], values["conversation_id"]
    sealed = {
        column: sealer.seal(values[column], message_place(column, place, number))
        for column in MESSAGE_TEXTS
        if values[column] is not None
    }
    identity = sealer.mask(values["identity"], number)
    return {**values, **sealed, "identity": identity, "sealed_with": sealer.current}


def seal_conversation(values: Values, conversation_id: int, sealer: Sealer | None) -> Values:
    """Values for a row of `conversations`, those of its texts sealed that are among them."""
    if sealer is None:
        return values
    sealed = {
        column: sealer.seal(values[column], conversation_place(column, conversation_id))
        for column in CONVERSATION_TEXTS
        if values.get(column) is not None
    }
    return {**values, **sealed}


def seal_error(error: str | None, row_id: int, sealer: Sealer | None) -> str | None:
    """The error of a call, sealed."""
    if error is None or sealer is None:
        return error
    return sealer.seal(error, error_place(row_id))


def open_message_texts(row: AnyRow, sealer: Sealer | None) -> tuple[str, str | None, str | None]:
    """Content, metadata and extra of a row of `conversation_messages`.

    Raises:
        Unopenable: one of them is not what was sealed there.
    """
    if sealer is None:
        return row.content, row.metadata, row.extra
    content, metadata, extra = (
        open_text(getattr(row, column), message_place(column, row.conversation_id, row.id), sealer)
        for column in MESSAGE_TEXTS
    )
    return content or "", metadata, extra


def open_content(row: AnyRow, sealer: Sealer | None) -> str:
    """The content of a row of `conversation_messages`.

    Raises:
        Unopenable: it is not what was sealed there.
    """
    content: str = row.content
    if sealer is None:
        return content
    return sealer.open(content, message_place("content", row.conversation_id, row.id))


def open_conversation_text(
    text: str | None, column: str, conversation_id: int, sealer: Sealer | None
) -> str | None:
    """The title or the metadata of a conversation.

    Raises:
        Unopenable: it is not what was sealed there.
    """
    if sealer is None:
        return text
    return open_text(text, conversation_place(column, conversation_id), sealer)


def open_error(error: str | None, row_id: int | None, sealer: Sealer | None) -> str | None:
    """The error of a call.

    Raises:
        Unopenable: it is not what was sealed there.
    """
    if sealer is None or row_id is None:
        return error
    return open_text(error, error_place(row_id), sealer)


def open_text(text: str | None, place: str, sealer: Sealer) -> str | None:
    """The text that is stored at *place*; null stays null.

    Raises:
        Unopenable: it is not what was sealed there.
    """
    return None if text is None else sealer.open(text, place)


def identity_of(row: AnyRow, sealer: Sealer | None) -> int:
    """What tells the message of *row* from others (wire/identity.py), as it was before sealing."""
    number: int = row.identity
    if sealer is None or row.sealed_with is None:
        return number
    return sealer.mask(number, row.id)


def open_lines(rows: Sequence[tuple[Any, ...]], sealer: Sealer | None) -> Sequence[tuple[Any, ...]]:
    """Rows with the fields of a `Line`, opened; a text that was left out stays away."""
    if sealer is None:
        return rows
    return [_open_line(row, sealer) for row in rows]


def _open_line(row: tuple[Any, ...], sealer: Sealer) -> tuple[Any, ...]:
    place, number = row[0], row[1]
    opened = list(row)
    for at, column in ((4, "content"), (8, "metadata"), (9, "extra")):
        if row[at]:
            opened[at] = sealer.open(row[at], message_place(column, place, number))
    return tuple(opened)
