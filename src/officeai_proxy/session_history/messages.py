"""Messages of agents in, OpenAI messages for storage out, and back; never loses a field.

A message has a role and a list of typed parts. Whatever else it carries, such as tool calls or the
fields of another library's message, stays with it as it is. Its parts are read from either form in
which OpenAI clients write content: a text is a list of one text part.
"""

import math
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic_core import to_jsonable_python

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.model import Json, JsonObject, Role
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.cleantext import clean_text

_FLEXIBLE = ConfigDict(extra="allow", validate_assignment=True)


def _text(value: object) -> str:
    """A text as it is: pydantic's own check refuses half an emoji, which clients do send."""
    if not isinstance(value, str):
        raise ValueError("Input should be a text")
    return value.value if isinstance(value, Enum) else value


AnyText = Annotated[str, PlainValidator(_text)]


class Content(BaseModel):
    """A part of a message, of any type; its fields stay as they are."""

    model_config = _FLEXIBLE

    type: AnyText | None = None


class TextContent(Content):
    """A part that is text."""

    type: Literal["text"] = "text"
    text: AnyText


def _parts(content: object) -> object:
    if content is None:
        return None
    return [_part(part) for part in (content if isinstance(content, list | tuple) else [content])]


def _part(part: object) -> Content:
    if isinstance(part, Content):
        return part
    if isinstance(part, str):
        return TextContent(text=part)
    fields = part if isinstance(part, Mapping) else _dumped(part)
    if not isinstance(fields, Mapping) or not isinstance(fields.get("type", ""), str):
        return Content.model_validate({"type": "other", "value": fields})
    is_text = fields.get("type") == "text" and isinstance(fields.get("text"), str)
    return (TextContent if is_text else Content).model_validate(_named(fields))


def _named(fields: Mapping[str, Json]) -> JsonObject:
    """*fields* with names that a model can have; one with half an emoji in it has none."""
    return {clean_text(name): value for name, value in fields.items()}


class Message(BaseModel):
    """One turn: who speaks, and what they say; `content` is None when they only call tools.

    Other fields may be given and are kept.
    """

    model_config = _FLEXIBLE

    role: AnyText
    content: Annotated[list[TextContent | Content] | None, BeforeValidator(_parts)] = None


class Session(BaseModel):
    """A conversation of one user. In a list of sessions `messages` is empty."""

    id: str
    user_id: str
    messages: list[Message] = Field(default_factory=list)


def openai_message(message: Message) -> JsonObject:
    """*message* as the OpenAI message that is stored of it."""
    raw: JsonObject = message.model_dump(exclude_unset=True)
    if message.content is not None:
        raw["content"] = [_openai_part(part) for part in message.content]
    return raw


def read_message(raw: JsonObject, *, role: str) -> Message:
    """The stored message *raw*; whoever recorded it may have named no role, or no proper one."""
    return Message.model_validate({**_named(raw), "role": role})


def as_messages(given: object) -> list[Message]:
    """Copies of what is appended: a message, a dict, an object with `model_dump`, or a list of any.

    Raises:
        UnprocessableInput: one of them is no message; the error says which and why.
    """
    items = given if isinstance(given, list | tuple) else [given]
    return [_as_message(item, place) for place, item in enumerate(items)]


def _as_message(given: object, place: int) -> Message:
    try:
        # Through JSON: what storage would change must not come back unchanged from memory.
        plain = jsontext.loads(jsontext.dumps(_plain(given)))
        if not isinstance(plain, Mapping):
            raise ValueError("it has no fields")
        if "role" not in plain:
            raise ValueError("it has no role")
        message = Message.model_validate(_named(plain))
        if message.role not in tuple(Role):
            raise ValueError(f"its role {message.role[:40]!r} is none of {', '.join(Role)}")
    except (ValueError, TypeError, RecursionError) as exc:
        raise UnprocessableInput(
            f"messages[{place}] is no message: {_fault(exc)}. Give a role and a list of content "
            "parts.",
            param=f"messages[{place}]",
        ) from exc
    return message


def _fault(error: Exception) -> str:
    """What *error* says, in one line; what pydantic says has several, and a link."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    return f"`{name}`: {first['msg'].removeprefix('Value error, ')}"


def _openai_part(part: Content) -> Json:
    fields: JsonObject = part.model_dump(exclude_unset=True)
    return {"type": part.type, **fields} if isinstance(part, TextContent) else fields


def _dumped(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else value


def _plain(value: object) -> Json:
    """*value* as JSON: texts as they are, other libraries' values as pydantic writes them."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is a number that JSON does not have")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, Message):
        return _plain(openai_message(value))
    if isinstance(value, Content):
        return _plain(_openai_part(value))
    dumped = _dumped(value)
    return cast("Json", to_jsonable_python(value)) if dumped is value else _plain(dumped)
