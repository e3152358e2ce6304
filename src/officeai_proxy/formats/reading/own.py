"""One conversation of our own `json` or `jsonl` export in, the conversation out.

Lists of `{"role", "content"}` that other tools write are read as well:
what is not said gets a value that follows from the rest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from officeai_proxy.formats.reading.fields import (
    count_or_none,
    moment_or_none,
    name_or_none,
    object_or_empty,
    role_in,
    text_or_none,
)
from officeai_proxy.formats.reading.imported import (
    BadItem,
    ImportedConversation,
    Reading,
    derived_session_id,
)
from officeai_proxy.formats.reading.splitter import split
from officeai_proxy.model import Json, JsonObject, NewMessage
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import new_messages

MESSAGES = "messages"
"""The member of a conversation that holds its messages."""

_ALWAYS_OURS = frozenset({"id", "parent_id", "model_name", "token_count", "timestamp", "metadata"})
_OURS = _ALWAYS_OURS | {"raw"}


@dataclass(slots=True)
class _Tree:
    messages: list[NewMessage] = field(default_factory=list)
    parents: list[int | None] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)


def conversation(
    values: JsonObject, messages: Iterable[Json], reading: Reading
) -> ImportedConversation:
    """The conversation with the members *values* and, one after the other, *messages*.

    Raises:
        BadItem: a value cannot be used.
    """
    created = moment_or_none(values.get("created_at"), "created_at")
    tree = _Tree()
    for message in messages:
        reading.check_count(len(tree.messages) + 1)
        _add(tree, message, created or reading.now)
    times = [message.timestamp for message in tree.messages]
    title = text_or_none(values.get("title"), "title")
    session = name_or_none(values.get("session_id"), "session_id")
    created = created or min(times, default=reading.now)
    return ImportedConversation(
        session_id=session or _session_id(title, values.get("created_at"), tree),
        user_identifier=name_or_none(values.get("user_identifier"), "user_identifier"),
        title=title,
        metadata=object_or_empty(values.get("metadata"), "metadata"),
        created_at=created,
        updated_at=moment_or_none(values.get("updated_at"), "updated_at") or max([created, *times]),
        deleted_at=moment_or_none(values.get("deleted_at"), "deleted_at"),
        messages=tuple(tree.messages),
        parents=tuple(tree.parents),
        leaf=_leaf(values.get("leaf"), tree),
    )


def large_messages(text: bytes) -> Iterator[Json]:
    """The messages of the conversation whose JSON is *text*, decoded one by one.

    So a large conversation is not in memory a second time as values.

    Raises:
        BadItem: one of them is not valid JSON.
    """
    pieces = split([text], limit=len(text), into=MESSAGES)
    for number, piece in enumerate((piece for piece in pieces if piece.is_item), start=1):
        try:
            yield jsontext.loads(piece.data or b"")
        except ValueError as exc:
            raise BadItem(f"message {number} is not valid JSON: {exc}.") from exc


def _add(tree: _Tree, value: Json, earliest: datetime) -> None:
    place = len(tree.messages)
    try:
        if not isinstance(value, dict):
            raise BadItem("it is not a JSON object.")
        parent = _parent(value, tree)
        new = _message(value, tree.messages[parent].timestamp if parent is not None else earliest)
        number = value.get("id", place + 1)
        if type(number) is not int or number in tree.places:
            raise BadItem("`id` must be a whole number that no other message has.")
    except BadItem as exc:
        raise BadItem(f"message {place + 1}: {exc}") from exc
    tree.messages.append(new)
    tree.parents.append(parent)
    tree.places[number] = place


def _parent(value: JsonObject, tree: _Tree) -> int | None:
    """The place of a message's parent; that of the message before, when it is not said."""
    if "parent_id" not in value:
        return len(tree.messages) - 1 if tree.messages else None
    number = value["parent_id"]
    if number is None:
        return None
    if type(number) is not int or number not in tree.places:
        raise BadItem("`parent_id` must be the `id` of an earlier message, or null.")
    return tree.places[number]


def _message(value: JsonObject, earliest: datetime) -> NewMessage:
    raw = value.get("raw")
    if raw is None:
        raw = {key: said for key, said in value.items() if key not in _OURS}
    if not isinstance(raw, dict):
        raise BadItem("`raw` must be a JSON object.")
    # What we have written comes back as it was, whatever a client had recorded for a role.
    if "raw" not in value and not (
        value.keys() >= _ALWAYS_OURS and isinstance(raw.get("role"), str)
    ):
        raw = {**raw, "role": role_in(raw.get("role"))}
    [new] = new_messages(
        [raw],
        timestamp=moment_or_none(value.get("timestamp"), "timestamp") or earliest,
        model_name=text_or_none(value.get("model_name"), "model_name"),
    )
    metadata = object_or_empty(value.get("metadata"), "metadata") or None
    tokens = count_or_none(value.get("token_count"), "token_count")
    if metadata is None and tokens is None:
        return new
    return replace(new, token_count=tokens, metadata=metadata)


def _leaf(value: Json, tree: _Tree) -> int | None:
    """The place where the path ends; at the last message, when it is not said."""
    if value is None:
        return len(tree.messages) - 1 if tree.messages else None
    if type(value) is not int or value not in tree.places:
        raise BadItem("`leaf` must be the `id` of one of the messages.")
    return tree.places[value]


def _session_id(title: str | None, created: Json, tree: _Tree) -> str:
    said = [message.identity for message in tree.messages]
    return derived_session_id(title, (created, tree.parents, said))
