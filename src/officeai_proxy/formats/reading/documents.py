"""The text of one file in, its conversations and faults out, one at a time.

What a file is shows in its text: a JSON array or object, a JSON object a line, or Markdown. What a
JSON object is shows in its members. The name of a file says nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from typing import BinaryIO, TypeAlias

from officeai_proxy.formats.reading import chatgpt, markdown, openwebui, own
from officeai_proxy.formats.reading.encoded import lines, utf8_pieces, whole
from officeai_proxy.formats.reading.imported import (
    BadItem,
    Fault,
    ImportedConversation,
    Item,
    Reading,
    UnknownFile,
)
from officeai_proxy.formats.reading.splitter import (
    CutOff,
    NotSplittable,
    Piece,
    line_shapes,
    members,
    split,
)
from officeai_proxy.formats.writing.own_json import FORMAT, VERSION
from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire import jsontext

_CONVERSATIONS = "conversations"
_SPACE = b" \t\r\n"

_STRANGERS = 1000
"""After so many values none of which is a conversation, a file is taken for something else."""

_SHORT = 1000
"""Bytes of a member that says something about the file."""

_ORDINARY = 8 * 1024**2
"""Bytes of a conversation that is decoded in one go."""

Open: TypeAlias = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the file from its beginning; every time the same bytes."""


class _NoConversation(BadItem):
    """A JSON value is none of the conversations that are known."""


def read_document(open_file: Open, reading: Reading) -> Iterator[Item]:
    """What the text of a file holds.

    Raises:
        UnknownFile: nothing in it is, or was meant to be, a conversation; at the end, when the
            faults of what is in it have been given.
    """
    first = _first_byte(open_file)
    if first in (b"{", b"["):
        read = _read_lines if first == b"{" and _is_lines(open_file) else _read_json
        yield from _unless_unknown(read(open_file, reading))
    elif first:
        yield from _read_markdown(open_file, reading)
    else:
        raise UnknownFile("This file is empty.")


def _first_byte(open_file: Open) -> bytes:
    """The first byte that is not white space; b"" without any."""
    with open_file() as file:
        for piece in utf8_pieces(file):
            if text := piece.lstrip(_SPACE):
                return text[:1]
    return b""


def _is_lines(open_file: Open) -> bool:
    """Whether a file that begins with `{` has an object a line.

    So it is when the first line is a whole object and another line follows. When only the second
    is one, the first is a damaged line, unless it ends in the middle of something.
    """
    with open_file() as file:
        shapes = line_shapes(utf8_pieces(file))
        first = next(shapes, None)
        if first is None or not (first.is_whole or first.last == b"}"):
            return False
        second = next(shapes, None)
    return second is not None and (first.is_whole or second.is_whole)


def _unless_unknown(items: Iterable[Item | _NoConversation]) -> Iterator[Item]:
    """*items*; instead of them the refusal of the file, when none is a conversation."""
    strangers: list[Fault] = []
    is_known, is_empty = False, True
    for item in items:
        is_empty = False
        if isinstance(item, _NoConversation):
            fault = Fault(str(item))
            if is_known:
                yield fault
                continue
            strangers.append(fault)
            if len(strangers) == _STRANGERS:
                break
            continue
        is_known = True
        yield from strangers
        strangers.clear()
        yield item
    if not is_known and not is_empty:
        raise UnknownFile(f"What is wrong here: {strangers[0].reason}")


def _read_lines(open_file: Open, reading: Reading) -> Iterator[Item | _NoConversation]:
    with open_file() as file:
        for line in lines(utf8_pieces(file), limit=reading.item_bytes):
            if line is None or line.strip(_SPACE):
                yield _read_object(line and line.strip(_SPACE), reading)


def _read_json(open_file: Open, reading: Reading) -> Iterator[Item | _NoConversation]:
    """The elements of an array, those of our own `conversations`, or the one object itself."""
    about: dict[str, bytes] = {}
    is_array = _first_byte(open_file) == b"["
    with open_file() as file:
        pieces = split(utf8_pieces(file), limit=reading.item_bytes, into=_CONVERSATIONS)
        seen = 0
        try:
            for piece in _with_members_in(about, pieces):
                seen += 1
                yield _read_object(piece.data, reading)
        except (CutOff, NotSplittable) as exc:
            yield _broken_off(exc, is_known=_has_list(about))
            return
    if _has_list(about):
        yield from _checked(about, seen)
    elif not is_array:
        yield _read_whole(open_file, reading)


def _with_members_in(about: dict[str, bytes], pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The items of *pieces*; the short members beside them are put into *about*."""
    for piece in pieces:
        if piece.is_item:
            _check_version(about)
            yield piece
        elif piece.key is not None and piece.data is not None and len(piece.data) < _SHORT:
            about[piece.key] = piece.data


def _has_list(about: dict[str, bytes]) -> bool:
    """Whether there is a list of conversations: gone into, it leaves no text of its own."""
    return about.get(_CONVERSATIONS) == b""


def _check_version(about: dict[str, bytes]) -> None:
    if _is_ours(about) and about.get("version", b"1") != str(VERSION).encode():
        raise UnknownFile(
            "The file was written by a newer version of this program; import it with that one."
        )


def _is_ours(about: dict[str, bytes]) -> bool:
    return about.get("format") == f'"{FORMAT}"'.encode()


def _broken_off(reason: Exception, *, is_known: bool) -> Item | _NoConversation:
    told = f"the file is damaged or not whole: {reason}."
    return Fault(told) if is_known else _NoConversation(told)


def _checked(about: dict[str, bytes], seen: int) -> Iterator[Item]:
    """The faults of a whole file of our own: what it says about itself and is not so."""
    if _is_ours(about) and about.get("complete") != b"true":
        yield Fault("the file does not say that it is complete; export it again.")
    told = _counted(about.get("counts"))
    if told is not None and told != seen:
        yield Fault(f"the file says that it has {told} conversations, and has {seen}.")


def _counted(counts: bytes | None) -> int | None:
    value = jsontext.value_or_none(counts)
    told = value.get(_CONVERSATIONS) if isinstance(value, dict) else None
    return told if isinstance(told, int) else None


def _read_whole(open_file: Open, reading: Reading) -> Item | _NoConversation:
    with open_file() as file:
        text = whole(utf8_pieces(file), limit=reading.item_bytes)
    return _read_object(text and text.strip(_SPACE), reading)


def _read_object(text: bytes | None, reading: Reading) -> Item | _NoConversation:
    """The conversation of one JSON object, whichever program wrote it."""
    if text is None:
        limit = reading.item_bytes / 1024**2
        return Fault(f"it is larger than {limit:g} MB; see OFFICEAI_MAX_IMPORT_ITEM_MB.")
    try:
        return replace(_conversation(text, reading), size=len(text))
    except _NoConversation as exc:
        return exc
    except BadItem as exc:
        return Fault(str(exc))


def _conversation(text: bytes, reading: Reading) -> ImportedConversation:
    """The conversation of one JSON object.

    A text of ordinary length is decoded whole, which is fastest. A longer one is taken apart first,
    and so is one that cannot be decoded: its reason is then told, and a message may be as deep as
    it could be in the call that brought it.
    """
    values: Json = None
    if len(text) <= _ORDINARY:
        values = jsontext.value_or_none(text)
    if isinstance(values, dict):
        return _of_values(values, values.get(own.MESSAGES), reading)
    try:
        found = members(text, apart=own.MESSAGES)
        if openwebui.CHAT in found or openwebui.HISTORY in found:
            found = members(text)
    except (CutOff, NotSplittable) as exc:
        raise _NoConversation(f"it is not a whole JSON object: {exc}.") from exc
    messages = own.large_messages(text) if found.get(own.MESSAGES) == b"" else None
    if messages is not None:
        del found[own.MESSAGES]
    return _of_values(_decoded(found), messages, reading)


def _of_values(
    values: JsonObject, messages: "Json | Iterable[Json]", reading: Reading
) -> ImportedConversation:
    if chatgpt.MAPPING in values:
        return chatgpt.conversation(values, reading)
    if openwebui.CHAT in values or openwebui.HISTORY in values:
        return openwebui.conversation(values, reading)
    if isinstance(messages, (list, Iterator)):
        return own.conversation(values, messages, reading)
    raise _NoConversation("it is no conversation of a kind that is known.")


def _decoded(found: dict[str, bytes]) -> JsonObject:
    values: JsonObject = {}
    for name, text in found.items():
        try:
            values[name] = jsontext.loads(text)
        except ValueError as exc:
            raise BadItem(f"`{name[:100]}` is not valid JSON: {exc}.") from exc
    return values


def _read_markdown(open_file: Open, reading: Reading) -> Iterator[Item]:
    with open_file() as file:
        pieces = utf8_pieces(file)
        beginning = next(pieces, b"")
        if b"**" not in beginning and b"_Exported on " not in beginning:
            raise UnknownFile
        text = whole(chain([beginning], pieces), limit=reading.item_bytes)
    if text is None:
        yield Fault("the text is larger than OFFICEAI_MAX_IMPORT_ITEM_MB allows.")
        return
    chats = markdown.chats(text.decode(errors="replace"))
    if not markdown.is_chat(chats[0]):
        raise UnknownFile
    try:
        text.decode()
    except UnicodeDecodeError:
        yield Fault("the text is not UTF-8; save it in that encoding.")
        return
    for chat in chats:
        yield replace(markdown.conversation(chat, reading), size=len(chat))
