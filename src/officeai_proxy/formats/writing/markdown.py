"""Conversations as Markdown to read: a title, when it was exported, then who said what.

A message is a rule, the speaker in bold, and what was said as it was written. What was said cannot
pass for another message or hide one: a line of it that looks like a speaker is escaped, so is HTML,
and a code block that was left open is closed.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence

from typing_extensions import override

from officeai_proxy.formats.writing.blocks import (
    LABELS,
    Block,
    Kind,
    blocks_of,
    label_of,
    lines_of,
    one_line,
    told,
)
from officeai_proxy.formats.writing.passages import Counts, Encoder, Line, Options, Passage

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
# Looking for code spans takes time that grows with the square of a line of nothing but backticks.
_LONG_LINE = 10_000
_SPEAKERS = "|".join(sorted({label.casefold() for label in LABELS} | {"cursor", "unknown"}))
_SPEAKER = re.compile(rf"({_SPEAKERS})([:(].*)?", re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>|[*_~`#>\\\s]")
_SPECIAL = re.compile(r"([\\`*_~#<>\[\]&|])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


class MarkdownEncoder(Encoder):
    """One document; each conversation begins with its title."""

    def __init__(self, options: Options) -> None:
        """Say that it was exported at the moment of *options*."""
        self._line = f"_Exported on {exported_on(options)} from officeai-proxy_"
        self._is_first = True

    @override
    def start(self) -> bytes:
        return b""

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return "".join([self._piece(passage) for passage in passages]).encode()

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield from ()

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


def escaped(text: str) -> str:
    """One line of text in which no character is Markdown."""
    return _SPECIAL.sub(r"\\\1", text)


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
            return f"_Calls {_code_span(one_line(block.name))}_\n\n{_fenced(block.text, 'json')}"
        case Kind.RESULT:
            return _fenced(block.text)
        case Kind.MEDIA:
            return f"_Attachment_ {_code_span(told(block))}"


def contained(text: str) -> str:
    """*text* as Markdown that stays inside its message."""
    lines: list[str] = []
    fence = _Fence()
    for line in lines_of(text):
        if fence.takes(line):
            lines.append(_escaped_if_bold(line))
        else:
            lines.append(_harmless(line))
    if fence.mark:
        lines.append(f"{' ' * fence.indent}{fence.mark}")
    return "\n".join(lines)


class _Fence:
    """The code fence that is open (CommonMark 0.31, 4.5), as the lines of a message go by."""

    def __init__(self) -> None:
        self.mark = ""
        self.indent = 0
        self._left = ""

    def takes(self, line: str) -> bool:
        """Whether *line* is code, or a fence itself."""
        found = _FENCE.match(line)
        is_closing = found and not line.strip(f" \t{found[1][0]}")
        if self.mark:
            # An indented fence may be in a list, which ends with the first line less indented.
            if self.indent and line.strip() and not line.startswith(" " * self.indent):
                self._left, self.mark = self.mark, ""
                return self.takes(line)
            if found and is_closing and found[1].startswith(self.mark):
                self.mark = ""
            return True
        if found and is_closing and self._left and found[1].startswith(self._left):
            self._left = ""
            return True
        if found:
            self.mark, self.indent = found[1], found.start(1)
        return bool(found)


def _escaped_if_bold(line: str) -> str:
    """A line of code; a program that looks for speakers knows nothing of code."""
    if line.lstrip()[:2] in ("**", "__") and _passes_for_a_speaker(line):
        return _SPECIAL.sub(r"\\\1", line)
    return line


def _harmless(line: str) -> str:
    if len(line) < 200 and _passes_for_a_speaker(line):
        return _SPECIAL.sub(r"\\\1", line)
    if "<" not in line or not _TAG.search(line):
        return line
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(line) if len(line) < _LONG_LINE else ():
        pieces += [_TAG.sub(r"\\<", line[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*pieces, _TAG.sub(r"\\<", line[end:])])


def _passes_for_a_speaker(line: str) -> bool:
    """Whether a reader, or a program, might take *line* for who speaks next."""
    plain = unicodedata.normalize("NFKC", html.unescape(line))
    bare = _MARKUP.sub("", plain).casefold()
    return bare != plain.casefold().strip() and _SPEAKER.fullmatch(bare) is not None


def _code_span(text: str) -> str:
    runs = [len(run) for run in re.findall("`+", text)]
    mark = "`" * (max(runs, default=0) + 1)
    return f"{mark} {text} {mark}" if runs else f"`{text}`"


def _fenced(text: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    mark = "`" * (longest + 1)
    body = "\n".join(lines_of(text))
    return f"{mark}{language}\n{body}\n{mark}"
