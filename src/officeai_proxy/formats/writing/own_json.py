"""Our own lossless formats, `json` and `jsonl`: the whole tree of every conversation.

Messages are numbered 1 to n within their conversation, in the order in which they were stored, and
parents are told by these numbers: no id of a database is in the file, so that the same file comes
out of another database. In `json` the words `"complete": true` are the last ones.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import orjson
from typing_extensions import override

from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Encoder,
    Passage,
    Row,
    metadata_text,
)
from officeai_proxy.model import JsonObject
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import rebuild

FORMAT = "officeai-conversations"
VERSION = 1

_NO_METADATA: JsonObject = {}


class JsonlEncoder(Encoder):
    """One conversation a line, and nothing else."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        self._ids = array("q")

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return b"".join([self._piece(passage) for passage in passages])

    def _begin(self) -> bytes:
        """What stands in front of a conversation."""
        return b""

    def _end(self) -> bytes:
        """What stands behind it."""
        return b"\n"

    def _piece(self, passage: Passage) -> bytes:
        pieces = []
        if passage.is_first:
            self._ids = array("q")
            pieces += [self._begin(), _head(passage.conversation)]
        if passage.rows:
            between = b"," if self._ids else b""
            pieces += [between, orjson.dumps(self._messages(passage.rows))[1:-1]]
        if passage.is_last:
            pieces += [b"]}", self._end()]
        return b"".join(pieces)

    def _messages(self, rows: Sequence[Row]) -> list[dict[str, object]]:
        before = len(self._ids)
        self._ids.extend([row[1] for row in rows])
        messages = []
        for number, row in enumerate(rows, before + 1):
            _, _, parent, role, content, model, tokens, moment, given, extra, *call = row
            metadata = metadata_text(given, *call)
            message: dict[str, object] = {
                "id": number,
                "parent_id": parent if parent is None else self._number(number, parent),
                "role": role,
                "content": content,
                "model_name": model,
                "token_count": tokens,
                "timestamp": moment,
                "metadata": orjson.Fragment(metadata) if metadata else _NO_METADATA,
            }
            if extra is not None and (raw := _raw(role, content, extra)) is not None:
                message["raw"] = orjson.Fragment(raw)
            messages.append(message)
        return messages

    def _number(self, number: int, parent_id: int) -> int:
        """The number of the parent of a message; nearly always it is the one just before."""
        if number > 1 and self._ids[number - 2] == parent_id:
            return number - 1
        return bisect_left(self._ids, parent_id) + 1


class JsonEncoder(JsonlEncoder):
    """One JSON object with a list of conversations, and what is in it told at the end."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        super().__init__()
        self._has_conversation = False

    @override
    def start(self) -> bytes:
        return b'{"format":"%b","version":%d,"conversations":[' % (FORMAT.encode(), VERSION)

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        told = b'{"conversations":%d,"messages":%d}' % (counts.conversations, counts.messages)
        yield b'\n],"counts":%b,"complete":true}\n' % told

    @override
    def _begin(self) -> bytes:
        between = b",\n" if self._has_conversation else b"\n"
        self._has_conversation = True
        return between

    @override
    def _end(self) -> bytes:
        return b""


def _raw(role: str, content: str, extra: str) -> str | None:
    """The OpenAI message whole; None where there is no more in it than *role* and *content*."""
    raw = jsontext.dumps_readable(rebuild(role, content, extra))
    # Half an emoji is no more than the content says, once it is mended; an import keeps neither.
    is_mended = "\ufffd" in role + content
    return None if is_mended and raw == jsontext.dumps({"role": role, "content": content}) else raw


def _head(conversation: ConversationHead) -> bytes:
    head: dict[str, object] = {
        "session_id": conversation.session_id,
        "title": conversation.title,
        "user_identifier": conversation.user_identifier,
        "metadata": orjson.Fragment(jsontext.readable(conversation.metadata or "{}")),
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }
    if conversation.deleted_at is not None:
        head["deleted_at"] = conversation.deleted_at
    head["leaf"] = conversation.leaf_number
    return orjson.dumps(head)[:-1] + b',"messages":['
