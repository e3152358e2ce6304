"""Conversations as plain text: who speaks stands at the margin, what was said is indented."""

from collections.abc import Sequence

from typing_extensions import override

from officeai_proxy.formats.containment import lines_of
from officeai_proxy.formats.writing.blocks import (
    Block,
    Kind,
    blocks_of,
    label_of,
    one_line,
    pictured,
    told,
)
from officeai_proxy.formats.writing.markdown import exported_on
from officeai_proxy.formats.writing.passages import Encoder, Line, Options, Passage

_INDENT = "    "


class TextEncoder(Encoder):
    """One document; each conversation begins with its title, underlined."""

    def __init__(self, options: Options) -> None:
        """Say that it was exported at the moment of *options*."""
        self._line = f"Exported on {exported_on(options)} from officeai-proxy"
        self._is_first = True

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return pictured("".join([self._piece(passage) for passage in passages])).encode()

    def _piece(self, passage: Passage) -> str:
        pieces = [_message(line) for line in passage.lines]
        if passage.is_first:
            between = "" if self._is_first else "\n\n"
            title = one_line(passage.conversation.name)
            pieces.insert(0, f"{between}{title}\n{'=' * 72}\n{self._line}\n")
            self._is_first = False
        return "".join(pieces)


def _message(line: Line) -> str:
    model = f", {one_line(line.model_name)}" if line.model_name and line.role != "user" else ""
    said = "\n".join([_indented(_block(block)) for block in blocks_of(line)])
    return f"\n{label_of(line)} ({line.timestamp}{model}):\n{said}\n"


def _block(block: Block) -> str:
    match block.kind:
        case Kind.TEXT | Kind.RESULT:
            return block.text
        case Kind.REASONING:
            return f"[reasoning]\n{block.text}\n[end of reasoning]"
        case Kind.CALL:
            return f"[calls {one_line(block.name)}]\n{block.text}"
        case Kind.MEDIA:
            return f"[{told(block)}]"


def _indented(text: str) -> str:
    return "\n".join([f"{_INDENT}{line}".rstrip() for line in lines_of(text)])
