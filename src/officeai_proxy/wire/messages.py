"""An OpenAI message in, what is stored of it out, and the message back; never loses anything of it.

A message is stored as role, text and `extra`: JSON text of whatever does not follow from the other
two, or None for a plain `{role, content}`, which most are. No text is stored twice. `extra` is the
message itself with what follows left out, and says under the key `$` how to put that back:

- `{"content": null, "tool_calls": […]}`: the fields beside the role, as they were.
- `"$": {"without": ["content"]}`: the message has no such field at all.
- `"$": {"text": "parts"}`: the stored text was cut out of the text parts of the content, where now
  its length stands, in characters. Likewise `refusals` (refusal parts), `refusal` (the field) and
  `audio` (the transcript).
- `"$": {"whole": {…}}`: the message as it was, for one that has a field `$` itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from officeai_proxy.model import Json, JsonObject, NewMessage, Outcome, Role
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.identity import identity
from officeai_proxy.wire.jsontext import dumps, loads
from officeai_proxy.wire.parts import (
    joined_refusal,
    joined_text,
    refusal_of_part,
    text_of_part,
    transcript_of,
)
from officeai_proxy.wire.replies import Choice

__all__ = [
    "clean_text",
    "extra_of",
    "new_messages",
    "rebuild",
    "reply_message",
    "role_of",
    "text_of",
]

_MAX_ROLE = 16
_MARK = "$"


class _Place(StrEnum):
    """Where in a message its text stands."""

    CONTENT = "content"
    PARTS = "parts"
    REFUSALS = "refusals"
    REFUSAL = "refusal"
    AUDIO = "audio"


_PART_KEYS = {_Place.PARTS: "text", _Place.REFUSALS: "refusal"}


def role_of(message: JsonObject) -> str:
    """The role of *message* for display and filters, at most 16 characters.

    "" when it has none: whoever wrote such a message named nobody, and nobody is put in their
    place.
    """
    role = message.get("role")
    return clean_text(role)[:_MAX_ROLE] if isinstance(role, str) else ""


def text_of(message: JsonObject) -> str:
    """The words of *message*: content, else refusal, else the audio's transcript, else ""."""
    return _text_and_place(message)[0]


def extra_of(message: JsonObject) -> str | None:
    """JSON text of whatever in *message* does not follow from its role and its clean text."""
    text, place = _text_and_place(message)
    if _MARK in message:
        return dumps({_MARK: {"whole": message}})
    is_clean = clean_text(text) == text
    rest, mark = dict(message), dict[str, Json]()
    if place is not _Place.CONTENT and is_clean:
        cut = _cut(message, place)
        # A part that holds a number where text belongs cannot be told from one that was cut.
        if _filled(cut, place, text=text) == message:
            rest, mark["text"] = cut, place.value
    if is_clean and place is _Place.CONTENT and isinstance(message.get("content"), str):
        del rest["content"]
    if message.get("role") == role_of(message):
        del rest["role"]
    if without := [key for key in ("role", "content") if key not in message]:
        mark["without"] = list[Json](without)
    if mark:
        rest[_MARK] = mark
    return dumps(rest) if rest else None


def rebuild(role: str, content: str, extra: str | None) -> JsonObject:
    """The message that was stored as *role*, *content* and *extra*.

    Raises:
        ValueError: *extra* was not made by `extra_of`.
    """
    message: JsonObject = {"role": role, "content": content}
    if extra is None:
        return message
    rest = loads(extra)
    if not isinstance(rest, dict):
        raise ValueError("the extra of a stored message must be a JSON object")
    mark = rest.pop(_MARK, None)
    message.update(rest)
    if not isinstance(mark, dict):
        return message
    whole, without = mark.get("whole"), mark.get("without")
    if isinstance(whole, dict):
        return whole
    if "text" in mark:
        message = _filled(message, _Place(str(mark["text"])), text=content)
    left_out = without if isinstance(without, list) else []
    return {key: value for key, value in message.items() if key not in left_out}


def new_messages(
    messages: Sequence[JsonObject], *, timestamp: datetime, model_name: str | None
) -> list[NewMessage]:
    """The messages of a request on their way into storage; *model_name* is the model asked for."""
    model_name = None if model_name is None else clean_text(model_name)
    return [
        NewMessage(
            role=role_of(message),
            content=clean_text(text_of(message)),
            identity=identity(message),
            timestamp=timestamp,
            extra=extra_of(message),
            model_name=model_name,
        )
        for message in messages
    ]


def reply_message(
    choice: Choice,
    *,
    timestamp: datetime,
    model_name: str | None,
    token_count: int | None,
    outcome: Outcome,
) -> NewMessage:
    """The message of one choice on its way into storage; without a role it is the assistant's."""
    message = choice.message
    if not message.get("role"):
        message = {**message, "role": Role.ASSISTANT.value}
    [new] = new_messages([message], timestamp=timestamp, model_name=model_name)
    return replace(
        new, token_count=token_count, finish_reason=choice.finish_reason, outcome=outcome
    )


def _text_and_place(message: JsonObject) -> tuple[str, _Place]:
    content, refusal = message.get("content"), message.get("refusal")
    if content and isinstance(content, str):
        return content, _Place.CONTENT
    if text := joined_text(content):
        return text, _Place.PARTS
    if text := joined_refusal(content):
        return text, _Place.REFUSALS
    if refusal and isinstance(refusal, str):
        return refusal, _Place.REFUSAL
    if text := transcript_of(message):
        return text, _Place.AUDIO
    return "", _Place.CONTENT


def _cut(message: JsonObject, place: _Place) -> JsonObject:
    """*message* with lengths in place of the texts at *place*."""
    content, audio = message.get("content"), message.get("audio")
    if place is _Place.REFUSAL:
        return {**message, "refusal": len(text_of(message))}
    if isinstance(audio, dict) and place is _Place.AUDIO:
        return {**message, "audio": {**audio, "transcript": len(text_of(message))}}
    if not isinstance(content, list):
        return message
    parts = [_cut_part(part, place) for part in content]
    return {**message, "content": parts}


def _cut_part(part: Json, place: _Place) -> Json:
    text = text_of_part(part) if place is _Place.PARTS else refusal_of_part(part)
    if text is None:
        return part
    return {**part, _PART_KEYS[place]: len(text)} if isinstance(part, dict) else len(text)


def _filled(message: JsonObject, place: _Place, *, text: str) -> JsonObject:
    """*message* with *text* back at *place*, where the lengths stand."""
    content, audio = message.get("content"), message.get("audio")
    if place is _Place.REFUSAL:
        return {**message, "refusal": text}
    if isinstance(audio, dict) and place is _Place.AUDIO:
        return {**message, "audio": {**audio, "transcript": text}}
    if not isinstance(content, list):
        return message
    parts: list[Json] = []
    position = 0
    for part in content:
        length = part.get(_PART_KEYS[place]) if isinstance(part, dict) else part
        if not isinstance(length, int):
            parts.append(part)
            continue
        piece = text[position : position + length]
        position += length
        parts.append({**part, _PART_KEYS[place]: piece} if isinstance(part, dict) else piece)
    return {**message, "content": parts}
