"""Fine-tuning JSONL: one line a conversation, `{"messages": […]}`, the messages as OpenAI has them.

The form is that of the OpenAI API reference, "Fine-tuning", chat format. A conversation without
messages has no line, for there is nothing to learn from it. Fields with which a reply says that it
has nothing to say there, `"refusal": null` or `"annotations": []` or `"tool_calls": null`, are left
out: that reference has them not, or not with such a value, and checks of such files name them.
"""

from collections.abc import Sequence

import orjson
from typing_extensions import override

from officeai_proxy.formats.writing.passages import Encoder, Line, Passage, raw_of
from officeai_proxy.model import Json
from officeai_proxy.wire import jsontext

_ALWAYS_SAID = frozenset(("role", "content"))
_NOTHING: tuple[Json, ...] = (None, "", [], {})


class OpenAIEncoder(Encoder):
    """One line for each conversation that has messages."""

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return b"".join([_piece(passage) for passage in passages if passage.rows])


def _piece(passage: Passage) -> bytes:
    before = b'{"messages":[' if passage.is_first else b","
    messages = orjson.dumps([_message(line) for line in passage.lines])[1:-1]
    return before + messages + (b"]}\n" if passage.is_last else b"")


def _message(line: Line) -> object:
    if line.extra is None:
        return {"role": line.role, "content": line.content}
    said = {
        name: value
        for name, value in raw_of(line).items()
        if name in _ALWAYS_SAID or value not in _NOTHING
    }
    return orjson.Fragment(jsontext.dumps_readable(said))
