"""Conversations as one HTML page that needs nothing else: no script, no file of another host.

Everything that was said is escaped, and the page's own policy (Content Security Policy Level 3)
forbids what is left: it may use its one style sheet and the pictures that are in it. The table of
contents is written last and shown first, for only then it is known; until then it waits in a
temporary file.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from importlib import resources

from typing_extensions import override

from officeai_proxy.crypto.scratch import scratch_file
from officeai_proxy.formats.writing.blocks import (
    PICTURE,
    Block,
    Kind,
    blocks_of,
    label_of,
    one_line,
    told,
)
from officeai_proxy.formats.writing.markdown import exported_on
from officeai_proxy.formats.writing.passages import Counts, Encoder, Line, Options, Passage

_IN_MEMORY = 256 * 1024
_CHUNK = 64 * 1024

# A fence is all of its marks: to try it with fewer would take time that grows with their square.
_CODE = re.compile(
    r"^(`{3,}+|~{3,}+)([^\n`]*)\n(.*?)(?:^\1[`~]*[ \t]*$\n?|\Z)", re.MULTILINE | re.DOTALL
)
_ROLE_CLASS = re.compile(r"[a-z]+")


class HtmlEncoder(Encoder):
    """One page for everything."""

    def __init__(self, options: Options) -> None:
        """Say that it was exported at the moment of *options*."""
        self._when = exported_on(options)
        self._contents = scratch_file(memory=_IN_MEMORY)
        self._count = 0

    @override
    def start(self) -> bytes:
        style = resources.files(__package__).joinpath("static/page.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        return (
            '<!doctype html>\n<html lang="und">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="referrer" content="no-referrer">\n'
            f"<title>Conversations, exported on {self._when}</title>\n"
            f"<style>{style}</style>\n</head>\n<body>\n<main>\n"
        ).encode()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return "".join([self._piece(passage) for passage in passages]).encode()

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield b"</main>\n"
        if self._count > 1:
            yield b'<nav aria-label="Contents">\n<h2>Contents</h2>\n<ol>\n'
            self._contents.seek(0)
            while chunk := self._contents.read(_CHUNK):
                yield chunk
            yield b"</ol>\n</nav>\n"
        yield b"</body>\n</html>\n"

    @override
    def close(self) -> None:
        self._contents.close()

    def _piece(self, passage: Passage) -> str:
        pieces = [_message(line) for line in passage.lines]
        if passage.is_first:
            pieces.insert(0, self._begin(passage))
        if passage.is_last:
            pieces.append("</section>\n")
        return "".join(pieces)

    def _begin(self, passage: Passage) -> str:
        self._count += 1
        head = passage.conversation
        title, user = html.escape(one_line(head.name)), html.escape(head.user_identifier)
        link = f'<li><a href="#c{self._count}">{title}</a> <span>{user}</span></li>\n'
        self._contents.write(link.encode())
        return (
            f'<section id="c{self._count}">\n<h1>{title}</h1>\n<p class="about">{user} · '
            f"{html.escape(head.session_id)} · exported on {self._when} from officeai-proxy</p>\n"
        )


def _message(line: Line) -> str:
    role = line.role if _ROLE_CLASS.fullmatch(line.role) else "other"
    model = f" <span>{html.escape(one_line(line.model_name))}</span>" if line.model_name else ""
    said = "".join([_block(block) for block in blocks_of(line)])
    return (
        f'<article class="{role}">\n<h2>{html.escape(label_of(line))}{model} '
        f'<time datetime="{_to_milliseconds(line.timestamp)}">{line.timestamp}</time></h2>\n'
        f"{said}</article>\n"
    )


def _to_milliseconds(moment: str) -> str:
    """*moment* as precise as HTML has it (HTML Standard, 2.3.5.4, valid time string)."""
    whole, point, fraction = moment.partition(".")
    return f"{whole}.{fraction[:3]}Z" if point else moment


def _block(block: Block) -> str:
    match block.kind:
        case Kind.TEXT:
            return _text(block.text)
        case Kind.REASONING:
            return f"<details><summary>Reasoning</summary>\n{_text(block.text)}</details>\n"
        case Kind.CALL:
            name = html.escape(one_line(block.name))
            return f'<p class="about">Calls <code>{name}</code></p>\n{_code(block.text)}'
        case Kind.RESULT:
            return _code(block.text)
        case Kind.MEDIA:
            about = html.escape(told(block))
            if PICTURE.fullmatch(block.text):
                return f'<p><img src="{block.text}" alt="{about}"></p>\n'
            return f'<p class="about">{about}</p>\n'


def _text(text: str) -> str:
    """Text with its line breaks; what stands between code fences as code."""
    pieces, end = [], 0
    for found in _CODE.finditer(text):
        pieces += [_paragraph(text[end : found.start()]), _code(found[3])]
        end = found.end()
    return "".join([*pieces, _paragraph(text[end:])])


def _paragraph(text: str) -> str:
    bare = text.strip("\n")
    return f'<div class="text">{html.escape(bare)}</div>\n' if bare.strip() else ""


def _code(text: str) -> str:
    # A line break that follows the tag at once belongs to the tag (HTML Standard, 13.1.2.5).
    return f"<pre>\n<code>{html.escape(text)}</code></pre>\n"
