"""One chat of Open WebUI's export in, the conversation out.

An export is a list of `{"id", "user_id", "title", "chat": {…}}`; a single chat is such an object or
the inner one. The inner one has the tree in `history`, and the path once more in `messages`.
"""

from dataclasses import replace
from datetime import datetime

from officeai_proxy.formats.reading.fields import (
    count_or_none,
    moment_of_epoch,
    name_or_none,
    object_or_empty,
    role_in,
    str_or_none,
    text_or_none,
)
from officeai_proxy.formats.reading.grown import Grown, SourceNode, grow
from officeai_proxy.formats.reading.imported import (
    BadItem,
    ImportedConversation,
    Reading,
    derived_session_id,
)
from officeai_proxy.model import Json, JsonObject, NewMessage
from officeai_proxy.wire.messages import new_messages

CHAT = "chat"
"""The member that only a chat of Open WebUI has."""

HISTORY = "history"
"""The member that only the inner object of such a chat has."""

_TOKENS = ("completion_tokens", "output_tokens", "eval_count")


def conversation(values: JsonObject, reading: Reading) -> ImportedConversation:
    """The conversation with the members *values*, be they of the outer or of the inner object.

    Raises:
        BadItem: a value cannot be used.
    """
    chat = object_or_empty(values[CHAT], CHAT) if CHAT in values else values
    created = moment_of_epoch(values.get("created_at")) or moment_of_epoch(chat.get("timestamp"))
    grown = _grown(chat, created or reading.now, reading)
    times = [message.timestamp for message in grown.messages]
    title = text_or_none(values.get("title") or chat.get("title"), "title")
    session = name_or_none(values.get("id") or chat.get("id"), "id")
    said = [message.identity for message in grown.messages]
    created = created or min(times, default=reading.now)
    return ImportedConversation(
        session_id=session or derived_session_id(title, (grown.parents, said)),
        foreign_user=name_or_none(values.get("user_id"), "user_id"),
        title=title,
        metadata={"imported_from": "Open WebUI"},
        created_at=created,
        updated_at=moment_of_epoch(values.get("updated_at")) or max([created, *times]),
        messages=grown.messages,
        parents=grown.parents,
        leaf=grown.leaf,
    )


def _grown(chat: JsonObject, created: datetime, reading: Reading) -> Grown:
    history = object_or_empty(chat.get(HISTORY), HISTORY)
    found, current = history.get("messages"), history.get("currentId")
    if isinstance(found, dict) and found:
        values = found
    else:
        values, current = _line(chat.get("messages")), None
    reading.check_count(len(values))
    nodes = {name: _node(name, value, created) for name, value in values.items()}
    return grow(nodes, current=str_or_none(current))


def _line(messages: Json) -> JsonObject:
    """Messages in a list as nodes, each below the one before."""
    if not isinstance(messages, list):
        return {}
    line: JsonObject = {}
    for number, message in enumerate(messages):
        fields = object_or_empty(message, f"messages[{number}]")
        line[str(number)] = {**fields, "parentId": str(number - 1)}
    return line


def _node(name: str, value: Json, created: datetime) -> SourceNode:
    if not isinstance(value, dict):
        raise BadItem(f"message {name!r} is not a JSON object.")
    return SourceNode(str_or_none(value.get("parentId")), _message(name, value, created))


def _message(name: str, value: JsonObject, created: datetime) -> NewMessage:
    role = value.get("role")
    if not isinstance(role, str):
        raise BadItem(f"message {name!r} has no role.")
    try:
        raw: JsonObject = {"role": role_in(role), "content": _content(value)}
    except BadItem as exc:
        raise BadItem(f"message {name!r}: {exc}") from exc
    [new] = new_messages(
        [raw],
        timestamp=moment_of_epoch(value.get("timestamp")) or created,
        model_name=str_or_none(value.get("model")) or None,
    )
    # A reply that failed has no words of its own, only this.
    error = value.get("error")
    return replace(new, token_count=_tokens(value), metadata={"error": error} if error else None)


def _content(value: JsonObject) -> Json:
    """The text; with the images and files that came with it as parts, when there are some."""
    content, files = value.get("content"), value.get("files")
    if content is None:
        content = ""
    if not isinstance(files, list) or not files or not isinstance(content, str):
        return content
    return [*([{"type": "text", "text": content}] if content else []), *map(_file, files)]


def _file(file: Json) -> Json:
    if not isinstance(file, dict):
        return {"type": "file", "file": file}
    if file.get("type") == "image":
        return {"type": "image_url", "image_url": {"url": file.get("url")}}
    return {**file, "type": "file"}


def _tokens(value: JsonObject) -> int | None:
    """How many tokens a reply had, as whichever server answered has counted them."""
    for place in ("usage", "info"):
        usage = value.get(place)
        for name in _TOKENS if isinstance(usage, dict) else ():
            if type(usage.get(name)) is int:  # type: ignore[union-attr]  # it is a dict here
                return count_or_none(usage.get(name), name)  # type: ignore[union-attr]  # as above
    return None
