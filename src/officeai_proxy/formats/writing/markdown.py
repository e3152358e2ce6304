"""Conversations as Markdown to read: a title, when it was exported, then who said what.

A message is a rule, the speaker in bold, and what was said as it was written. What was said cannot
pass for another message or hide one, see `formats.containment`.
"""

import re
from collections.abc import Sequence

from typing_extensions import override

from officeai_proxy.formats.containment import OURS, contained, escaped, fenced
from officeai_proxy.formats.writing.blocks import Block, Kind, blocks_of, label_of, one_line, told
from officeai_proxy.formats.writing.passages import Encoder, Line, Options, Passage


class MarkdownEncoder(Encoder):
    """One document; each conversation begins with its title."""

    def __init__(self, options: Options) -> None:
        """Say that it was exported at the moment of *options*."""
        self._line = f"_Exported on {exported_on(options)} from {OURS}_"
        self._is_first = True

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return "".join([self._piece(passage) for passage in passages]).encode()

    def _piece(self, passage: Passage) -> str:
        pieces = [_message(line) for line in passage.lines]
        if passage.is_first:
            between = "" if self._is_first else "\n---\n\n"
            title = escaped(one_line(passage.conversation.name))
            pieces.insert(0, f"{between}# {title}\n{self._line}\n")
            self._is_first = False
        return "".join(pieces)


def exported_on(options: Options) -> str:
    """The moment of an export as a person reads it."""
    return f"{options.exported_at:%Y-%m-%d} at {options.exported_at:%H:%M:%S} UTC"


def _message(line: Line) -> str:
    model = ""
    if line.role == "assistant" and line.model_name:
        model = f" ({escaped(one_line(line.model_name))})"
    said = "".join([f"{_block(block)}\n\n" for block in blocks_of(line)])
    return f"\n---\n\n**{escaped(label_of(line))}**{model}\n\n{said}".rstrip("\n") + "\n"


def _block(block: Block) -> str:
    match block.kind:
        case Kind.TEXT:
            return contained(block.text)
        case Kind.REASONING:
            quoted = contained(block.text).split("\n")
            return "\n".join(["> _Reasoning_", ">", *[f"> {line}" for line in quoted]])
        case Kind.CALL:
            return f"_Calls {_code_span(one_line(block.name))}_\n\n{fenced(block.text, 'json')}"
        case Kind.RESULT:
            return fenced(block.text)
        case Kind.MEDIA:
            return f"_Attachment_ {_code_span(told(block))}"


def _code_span(text: str) -> str:
    runs = [len(run) for run in re.findall("`+", text)]
    mark = "`" * (max(runs, default=0) + 1)
    return f"{mark} {text} {mark}" if runs else f"`{text}`"
