"""The body of a chat request in, what the recorder needs of it out; never changes more than a name.

What the upstream will accept is the upstream's business: only a body that is not a JSON object is
refused, and of everything else what cannot be understood is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from officeai_proxy.model import JsonObject
from officeai_proxy.wire.encoding import decoded
from officeai_proxy.wire.jsontext import dumps, loads

# A string token, or a bracket; the possessive quantifiers keep the search linear.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
# An escaped spelling of the key has at least one of these: the letters are U+0064 to U+006F.
_ESCAPED_LETTER = b"\\u006"


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class ChatRequest:
    """A chat request as far as the recorder reads it; texts may hold anything JSON can."""

    model: str | None
    stream: bool
    messages: tuple[JsonObject, ...]
    choices: int = 1
    """How many answers it asks for; the upstream may think otherwise."""


def read_request(body: bytes, *, encoding: str, limit: int) -> ChatRequest:
    """The chat request in *body*, whose `Content-Encoding` is *encoding*.

    *limit* is the largest unpacked body in bytes.

    Raises:
        UnknownEncoding: the body has an encoding that is not read here; a ValueError, too.
        ValueError: the body cannot be unpacked or is not a JSON object; the message says which.
    """
    text = decoded(body, encoding=encoding, limit=limit)
    try:
        value = loads(text)
    except ValueError as exc:
        raise ValueError(f"the body is not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    model, messages, number = value.get("model"), value.get("messages"), value.get("n")
    said = messages if isinstance(messages, list) else ()
    return ChatRequest(
        model=model if isinstance(model, str) else None,
        stream=value.get("stream") is True,
        messages=tuple([message for message in said if isinstance(message, dict)]),
        choices=number if isinstance(number, int) else 1,
    )


def replace_model(body: bytes, *, asked: str, sent: str) -> bytes:
    """*body* with the model name *sent* in place of *asked*, every other byte as it was.

    *body* is the JSON object in which `read_request` found *asked*, not compressed. Should it name
    the model several times, all are replaced, for servers differ in which one they take. A name
    inside a nested object is somebody else's.
    """
    spans = _only_model(body, asked) or list(_top_level_models(body))
    if not any(loads(body[start:end]) == asked for start, end in spans):
        return body
    name = dumps(sent).encode()
    pieces: list[bytes] = []
    place = 0
    for start, end in spans:
        pieces += (body[place:start], name)
        place = end
    return b"".join((*pieces, body[place:]))


def _only_model(body: bytes, asked: str) -> list[tuple[int, int]]:
    """The one place of the name when the text `"model": "<asked>"` can stand at only one."""
    if body.count(b'"model"') != 1 or _ESCAPED_LETTER in body:
        return []
    name = dumps(asked).encode()
    found = re.search(rb'(?<!\\)"model"\s*:\s*(' + re.escape(name) + b")", body)
    return [found.span(1)] if found else []


def _top_level_models(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the top level's `model` keys stand, as far as they are strings."""
    for place in places_of(body, "model"):
        value = _TOKEN.match(body, place)
        if value and value.group().startswith(b'"'):
            yield value.span()


def places_of(body: bytes, key: str) -> Iterator[int]:
    """Where in *body*, a JSON object, the values of its own members called *key* begin."""
    depth = 0
    for token in _TOKEN.finditer(body):
        text = token.group()
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and (colon := _COLON.match(body, token.end())) and loads(text) == key:
            yield colon.end()
