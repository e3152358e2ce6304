"""One conversation of ChatGPT's `conversations.json` in, the conversation out.

Its `mapping` is a tree of nodes. What the page hides (`is_visually_hidden_from_conversation`) and
empty system nodes are between the messages and are left out. Everything else is kept: what has no
counterpart in a chat message of the API stands in the message's metadata.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from officeai_proxy.formats.reading.fields import (
    moment_of_epoch,
    name_or_none,
    object_or_empty,
    str_or_none,
    text_or_none,
)
from officeai_proxy.formats.reading.grown import SourceNode, grow
from officeai_proxy.formats.reading.imported import (
    BadItem,
    ImportedConversation,
    Reading,
    derived_session_id,
)
from officeai_proxy.model import Json, JsonObject, NewMessage, Role
from officeai_proxy.wire.messages import new_messages

MAPPING = "mapping"
"""The member that only ChatGPT's conversations have."""

_PLAIN = "text"
_TO_ALL = "all"
# Of code and tools, of pages, of thoughts, of code with sources, and of what it remembers.
_TEXTS = ("text", "result", "content", "summary", "output_str", "model_set_context")
_ROLES = frozenset(role.value for role in Role)


def conversation(values: JsonObject, reading: Reading) -> ImportedConversation:
    """The conversation with the members *values*.

    Raises:
        BadItem: a value cannot be used.
    """
    mapping = object_or_empty(values.get(MAPPING), MAPPING)
    reading.check_count(len(mapping))
    created = moment_of_epoch(values.get("create_time")) or reading.now
    nodes = {name: _node(name, node, created) for name, node in mapping.items()}
    grown = grow(nodes, current=str_or_none(values.get("current_node")))
    title = text_or_none(values.get("title"), "title")
    session = values.get("conversation_id") or values.get("id")
    said = [message.identity for message in grown.messages]
    return ImportedConversation(
        session_id=name_or_none(session, "conversation_id")
        or derived_session_id(title, (values.get("create_time"), grown.parents, said)),
        title=title,
        metadata={"imported_from": "ChatGPT"},
        created_at=created,
        updated_at=moment_of_epoch(values.get("update_time"))
        or max([created, *(message.timestamp for message in grown.messages)]),
        messages=grown.messages,
        parents=grown.parents,
        leaf=grown.leaf,
    )


def _node(name: str, node: Json, created: datetime) -> SourceNode:
    if not isinstance(node, dict):
        raise BadItem(f"node {name!r} is not a JSON object.")
    message = node.get("message")
    return SourceNode(
        str_or_none(node.get("parent")),
        _message(message, created) if isinstance(message, dict) else None,
    )


def _message(message: Mapping[str, Json], created: datetime) -> NewMessage | None:
    """The message of a node; None for one that the page does not show."""
    about = object_or_empty(message.get("metadata"), "metadata")
    author = object_or_empty(message.get("author"), "author")
    content = object_or_empty(message.get("content"), "content")
    role = author.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        role = Role.ASSISTANT.value
    said = _said(content)
    if about.get("is_visually_hidden_from_conversation") is True:
        return None
    if role == Role.SYSTEM and not said.get("content"):
        return None
    raw: JsonObject = {"role": role, **said}
    name = author.get("name")
    if isinstance(name, str) and name:
        raw["name"] = name
    [new] = new_messages(
        [raw],
        timestamp=moment_of_epoch(message.get("create_time")) or created,
        model_name=str_or_none(about.get("model_slug")) or None,
    )
    return replace(new, metadata=_metadata(message, content, about))


def _metadata(
    message: Mapping[str, Json], content: JsonObject, about: JsonObject
) -> JsonObject | None:
    """What a message is beside its words: to whom it went, what kind of content it had, and which
    files came with it. Of a file that is no picture nothing else is told.
    """
    metadata: JsonObject = {}
    if about.get("attachments"):
        metadata["attachments"] = about["attachments"]
    kind, to = content.get("content_type"), message.get("recipient")
    if isinstance(kind, str) and kind != _PLAIN:
        metadata["content_type"] = kind
    if isinstance(to, str) and to != _TO_ALL:
        metadata["recipient"] = to
    for key in ("language", "url", "domain", "title"):
        if content.get(key):
            metadata[key] = content[key]
    return metadata or None


def _said(content: JsonObject) -> JsonObject:
    """The fields of an API message that say what *content* says."""
    kind = content.get("content_type")
    read = _KINDS.get(kind) if isinstance(kind, str) else None
    return read(content) if read else {"content": _any_text(content)}


def _parts(content: JsonObject) -> JsonObject:
    """Parts as one text; as a list of parts when some of them are no text."""
    parts = content.get("parts")
    if not isinstance(parts, list):
        return {"content": _any_text(content)}
    said = [_part(part) for part in parts if part not in ("", None)]
    texts = [part["text"] for part in said if part["type"] == "text"]
    if len(texts) == len(said):
        return {"content": "\n".join(str(text) for text in texts)}
    return {"content": list[Json](said)}


def _part(part: Json) -> JsonObject:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return {"type": "unknown", "value": part}
    kind, text = part.get("content_type"), part.get("text")
    if isinstance(text, str) and kind in ("text", "audio_transcription"):
        return {"type": "text", "text": text}
    return {**part, "type": kind if isinstance(kind, str) else "unknown"}


def _thoughts(content: JsonObject) -> JsonObject:
    """What a model thought, where the API's servers put it."""
    thoughts = content.get("thoughts")
    texts = [
        str(thought.get("content") or thought.get("summary") or "")
        for thought in (thoughts if isinstance(thoughts, list) else [])
        if isinstance(thought, dict)
    ]
    return {"content": "", "reasoning_content": "\n\n".join(texts)}


def _recap(content: JsonObject) -> JsonObject:
    return {"content": "", "reasoning_content": _any_text(content)}


def _any_text(content: JsonObject) -> str:
    """The first member of *content* that holds text."""
    for key in _TEXTS:
        text = content.get(key)
        if isinstance(text, str) and text:
            return text
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


_KINDS: Mapping[str, Callable[[JsonObject], JsonObject]] = {
    "text": _parts,
    "multimodal_text": _parts,
    "thoughts": _thoughts,
    "reasoning_recap": _recap,
}
