"""A message in, what a person reads of it out: text, reasoning, tool calls, attachments.

The formats that are read (Markdown, text, HTML) share this, and each only chooses how it looks.
Data inside a message, such as a picture, is named and not repeated; `MEDIA` has its address, or the
data of its sound.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from officeai_proxy.formats.containment import label_of_role
from officeai_proxy.formats.writing.passages import Line, raw_of
from officeai_proxy.model import Json, JsonObject, Role, counted
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.parts import joined_text

PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
"""The address of a picture that carries itself. SVG is none: it may hold scripts."""

_CONTROLS = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DELETE = 0x7F


class Kind(StrEnum):
    """What a block is."""

    TEXT = "text"
    REASONING = "reasoning"
    CALL = "call"
    RESULT = "result"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a message.

    `name` is a tool's name, or what an attachment is, or who of several speaks; `data` the sound of
    an attachment; `call` the id of the call that this is, or answers.
    """

    kind: Kind
    text: str
    name: str = ""
    data: str = field(default="", repr=False)
    call: str = ""


def label_of(line: Line) -> str:
    """Who speaks."""
    return label_of_role(line.role) or one_line(line.role) or "Unknown"


def one_line(text: str) -> str:
    """*text* without line breaks or other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def pictured(text: str) -> str:
    """*text* with pictures of its control characters, which a terminal would obey."""
    return _CONTROLS.sub(picture, text)


def picture(found: re.Match[str]) -> str:
    """A control character as the picture of it (Unicode block 2400), if it has one."""
    code = ord(found[0])
    if code == _DELETE:
        return "\u2421"
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def blocks_of(line: Line) -> list[Block]:
    """What there is to read of a message, in the order in which it was meant."""
    is_result = line.role in (Role.TOOL, Role.FUNCTION)
    spoken = [Block(Kind.RESULT if is_result else Kind.TEXT, line.content)] if line.content else []
    if line.extra is None:
        return spoken
    message = raw_of(line)
    name, call = _text(message, "name"), _text(message, "tool_call_id")
    spoken = [replace(one, name=name, call=call) for one in spoken]
    blocks = [*_reasoning(message), *spoken, *_media(message), *_calls(message)]
    # Clients cut characters in two, and no file can hold half of one.
    return [replace(one, text=clean_text(one.text), name=clean_text(one.name)) for one in blocks]


def _reasoning(message: JsonObject) -> Iterator[Block]:
    parts = _list_in(message, "content")
    thoughts = [
        *(_words_of(message.get(key)) for key in _REASONING),
        "".join([_thought_in(part) for part in parts if isinstance(part, dict)]),
    ]
    for text in thoughts:
        if text.strip():
            yield Block(Kind.REASONING, text)
            return


def _words_of(thought: Json) -> str:
    text = thought.get("text") if isinstance(thought, dict) else thought
    return text if isinstance(text, str) else ""


def _thought_in(part: JsonObject) -> str:
    """What a part of Mistral's or of Databricks' models thinks; "" where it is another part."""
    if part.get("type") == "thinking":
        return joined_text(part.get("thinking"))
    summary = _list_in(part, "summary") if part.get("type") == "reasoning" else []
    return "".join([_words_of(one) for one in summary])


def _media(message: JsonObject) -> Iterator[Block]:
    # Models that draw have their pictures beside the content (OpenRouter, "Image Generation").
    for part in (*_list_in(message, "content"), *_list_in(message, "images")):
        if isinstance(part, dict) and part.get("type") not in _SPOKEN and not _thought_in(part):
            name = str(part.get("type") or "part")
            yield Block(Kind.MEDIA, _address(part), name, _sound(part.get(name)))
    if isinstance(message.get("audio"), dict):
        yield Block(Kind.MEDIA, "", "audio", _sound(message["audio"]))


_SPOKEN = ("text", "input_text", "output_text", "refusal")
# DeepSeek's name for it, OpenRouter's, Copilot's, and that of models behind Ollama.
_REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking")


def _list_in(holder: JsonObject, key: str) -> list[Json]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def _address(part: JsonObject) -> str:
    """Where what *part* shows is: a URL, a data URL, or the name of a file."""
    inner = part.get(str(part.get("type")))
    if isinstance(inner, str):
        return inner
    if isinstance(inner, dict):
        for key in ("url", "filename", "file_id", "format"):
            value = inner.get(key)
            if isinstance(value, str):
                return value
    return ""


def _sound(audio: Json) -> str:
    """The data of `input_audio`, or of the `audio` of a reply, in base64 (OpenAI API)."""
    return _text(audio, "data") if isinstance(audio, dict) else ""


def _text(message: JsonObject, key: str) -> str:
    """The text at *key*; nothing where it is none."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def _calls(message: JsonObject) -> Iterator[Block]:
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        yield _call(legacy)
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            inner = call.get("function") or call.get("custom")
            block = _call(inner if isinstance(inner, dict) else call)
            yield replace(block, call=_text(call, "id"))


def _call(function: JsonObject) -> Block:
    arguments = function.get("arguments", function.get("input"))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Block(Kind.CALL, _pretty(text), _text(function, "name"))


def _pretty(text: str) -> str:
    """JSON with a line for each value; anything else as it is."""
    try:
        value: Json = json.loads(text)
        return json.dumps(value, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def told(media: Block) -> str:
    """An attachment in a few words: its address, or how much data it is."""
    name = one_line(media.name)
    if media.text.startswith("data:"):
        kind = one_line(media.text[5:60].partition(";")[0].partition(",")[0])
        return f"{name}: {kind}, {_size(len(media.text) * 3 // 4)}"
    return f"{name}: {one_line(media.text)}" if media.text else name


def _size(count: int) -> str:
    return counted(count, "byte") if count < 1024 else f"{count // 1024} KB"
