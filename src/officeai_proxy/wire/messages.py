"""An OpenAI message in, what is stored of it out, and the message back; never loses anything of it.

A message is stored as role, text and `extra`: JSON text of whatever does not follow from the other
two, or None for a plain `{role, content}`, which most are. No text is stored twice. `extra` is the
message itself with what follows left out, and says under the key `$` how to put that back:

- `{"content": null, "tool_calls": […]}`: the fields beside the role, as they were.
- `"$": {"without": ["content"]}`: the message has no such field at all.
- `"$": {"text": "parts"}`: the stored text was cut out of the text parts of the content, where now
  its length stands, in characters. Likewise `refusals` (refusal parts), `refusal` (the field) and
  `audio` (the transcript). With `object` the content is the JSON object that the text writes.
- `"$": {"whole": {…}}`: the message as it was, for one that has a field `$` itself.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import overload

from typing_extensions import override

from officeai_proxy.model import Json, JsonObject, NewMessage, Outcome, Role
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.identity import identities_of, identity
from officeai_proxy.wire.jsontext import dumps, loads
from officeai_proxy.wire.parts import (
    joined_refusal,
    joined_text,
    refusal_of_part,
    text_of_part,
    transcript_of,
    written_object,
)
from officeai_proxy.wire.replies import Choice

_MAX_ROLE = 16
_MARK = "$"
_KNOWN_ROLES = frozenset(role.value for role in Role)
_PLAIN_FIELDS = 2


class _Place(StrEnum):
    """Where in a message its text stands."""

    CONTENT = "content"
    PARTS = "parts"
    OBJECT = "object"
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
    if type(role) is str and role in _KNOWN_ROLES:
        return role
    return clean_text(role)[:_MAX_ROLE] if isinstance(role, str) else ""


def text_of(message: JsonObject) -> str:
    """The words of *message*: content, else refusal, else the audio's transcript, else ""."""
    return _text_and_place(message)[0]


def extra_of(message: JsonObject) -> str | None:
    """JSON text of whatever in *message* does not follow from its role and its clean text."""
    return _split(message)[1]


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
        _new_message(message, timestamp=timestamp, model_name=model_name) for message in messages
    ]


class RequestMessages(Sequence[NewMessage]):
    """The messages of a request; only those that are asked for are made.

    A client sends the whole conversation again with each turn. To find out what of it is new takes
    no more than who speaks and the identity of each message, which are here for all of them.
    """

    __slots__ = ("_messages", "_model_name", "_timestamp", "identities", "roles")

    def __init__(
        self, messages: Sequence[JsonObject], *, timestamp: datetime, model_name: str | None
    ) -> None:
        """The *messages* of a request that asked for *model_name*."""
        self.identities = identities_of(messages)
        self.roles = [role_of(message) for message in messages]
        self._messages = messages
        self._timestamp = timestamp
        self._model_name = None if model_name is None else clean_text(model_name)

    @override
    def __len__(self) -> int:
        """How many there are."""
        return len(self._messages)

    def identities_without_names(self) -> list[int] | None:
        """What they are where a client gave the assistant no name; None where it gave none."""
        answers = [
            at
            for at, message in enumerate(self._messages)
            if "name" in message and message.get("role") == Role.ASSISTANT
        ]
        if not answers:
            return None
        identities = list(self.identities)
        for at in answers:
            identities[at] = identity({**self._messages[at], "name": None})
        return identities

    @overload
    def __getitem__(self, at: int) -> NewMessage: ...

    @overload
    def __getitem__(self, at: slice) -> list[NewMessage]: ...

    @override
    def __getitem__(self, at: int | slice) -> NewMessage | list[NewMessage]:
        """The message at a place on its way into storage, made anew each time."""
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        return _new_message(
            self._messages[at],
            timestamp=self._timestamp,
            model_name=self._model_name,
            number=self.identities[at],
        )


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
    model_name = None if model_name is None else clean_text(model_name)
    new = _new_message(message, timestamp=timestamp, model_name=model_name)
    new.token_count = token_count
    new.finish_reason = choice.finish_reason
    new.outcome = outcome
    return new


def _new_message(
    message: JsonObject, *, timestamp: datetime, model_name: str | None, number: int | None = None
) -> NewMessage:
    """*message* on its way into storage; *number* is its identity, where that is known."""
    content, extra = _split(message)
    return NewMessage(
        role=role_of(message),
        content=content,
        identity=identity(message) if number is None else number,
        timestamp=timestamp,
        extra=extra,
        model_name=model_name,
    )


def _split(message: JsonObject) -> tuple[str, str | None]:
    """The clean text of *message*, and its `extra`."""
    role, content = message.get("role"), message.get("content")
    is_usual = type(role) is str and role in _KNOWN_ROLES and _MARK not in message
    if is_usual and type(content) is str and (content or len(message) == _PLAIN_FIELDS):
        text = clean_text(content)
        if text == content:
            return text, _others_of(message)
    return split_of_any(message)


def split_of_any(message: JsonObject) -> tuple[str, str | None]:
    """The clean text of any *message*, and its `extra`, by the rules and without a shortcut."""
    text, place = _text_and_place(message)
    clean = clean_text(text)
    if _MARK in message:
        return clean, dumps({_MARK: {"whole": message}})
    is_clean = clean == text
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
    return clean, dumps(rest) if rest else None


def _others_of(message: JsonObject) -> str | None:
    """JSON text of the fields beside role and content; None when there are none."""
    if len(message) == _PLAIN_FIELDS:
        return None
    return dumps({key: value for key, value in message.items() if key not in ("role", "content")})


def _text_and_place(message: JsonObject) -> tuple[str, _Place]:
    content, refusal = message.get("content"), message.get("refusal")
    if content and isinstance(content, str):
        return content, _Place.CONTENT
    if text := joined_text(content):
        return text, _Place.PARTS
    if text := written_object(content):
        return text, _Place.OBJECT
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
    if place is _Place.OBJECT:
        return {**message, "content": None}
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
    if place is _Place.OBJECT:
        return {**message, "content": loads(text)}
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
