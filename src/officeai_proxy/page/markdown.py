"""Markdown that a client or a model wrote in, HTML that can do nothing out.

What is safe is what the renderer can write at all: it knows no raw HTML, links lead to `http`,
`https` and `mailto` only, and a picture is shown only when it is in the text itself. The page's
Content Security Policy is the second wall, and forbids inline styles too, so that the alignment of
a table becomes a class.
"""

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from officeai_proxy.formats.writing.blocks import PICTURE
from officeai_proxy.page import addresses, formulas, tasks

LONGEST = 100_000
"""Characters up to which a text is read as Markdown; longer ones are shown as they are."""

_LINK = re.compile(r"(?:https?://|mailto:)[^\s\\]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[\w#+.-]{1,30}")
_ALIGNMENT = re.compile(r"text-align:(left|center|right)")

_LISTS = frozenset({"bullet_list_open", "ordered_list_open"})


class Markdown:
    """A reader and writer of Markdown; safe to use from several threads."""

    def __init__(self, *, copy: str) -> None:
        """*copy* is what the button over a piece of code says."""
        self._copy = escape(copy)

        # The parser hands its renderer to a rule as `self`, so that no method can be one.
        def fence(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
            token = tokens[place]
            named = _LANGUAGE.match(token.info.strip())
            return self.code(token.content, language=named[0] if named else "")

        parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
        parser.enable(["table", "strikethrough"])
        parser.validateLink = _is_harmless  # type: ignore[method-assign]  # the documented way
        parser.add_render_rule("image", _image)
        parser.add_render_rule("link_open", _link)
        parser.add_render_rule("fence", fence)
        parser.add_render_rule("code_block", fence)
        parser.add_render_rule("table_open", _table)
        parser.add_render_rule("table_close", _table_end)
        formulas.install(parser)
        addresses.install(parser)
        tasks.install(parser)
        parser.core.ruler.push("attributes", _with_own_attributes)
        self._parser = parser

    def html(self, text: str) -> str:
        """*text* as HTML."""
        if len(text) > LONGEST:
            return f'<div class="plain">{escape(text)}</div>'
        return str(self._parser.render(text))

    def code(self, text: str, *, language: str = "") -> str:
        """*text* as a piece of code with a button to copy it."""
        name = f"<span>{escape(language)}</span>" if language else "<span></span>"
        return (
            f'<div class="code"><div class="code-bar">{name}'
            f'<button type="button" class="copy" data-copy="code" hidden>{self._copy}</button>'
            f'</div><pre tabindex="0"><code>{escape(text)}</code></pre></div>\n'
        )


def _is_harmless(url: str) -> bool:
    """Whether a link or a picture may have this address."""
    return _LINK.match(url) is not None or PICTURE.fullmatch(url) is not None


def _image(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    place: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    """A picture of another host would tell that host who reads this: a link instead."""
    token = tokens[place]
    address = str(token.attrs.get("src", ""))
    words = renderer.renderInlineAsText(token.children, options, env) if token.children else ""
    if PICTURE.fullmatch(address):
        return f'<img src="{escape(address)}" alt="{escape(words)}">'
    return _anchor(address) + f"↗ {escape(words or address)}</a>"


def _link(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    address = str(tokens[place].attrs.get("href", ""))
    return "<a>" if PICTURE.fullmatch(address) else _anchor(address)


def _anchor(address: str) -> str:
    if not address:
        return "<a>"
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer nofollow ugc">'


def _table(*_: object) -> str:
    # Focus lets a wide table be scrolled by keyboard.
    return '<div class="wide" tabindex="0"><table>\n'


def _table_end(*_: object) -> str:
    return "</table></div>\n"


def _with_own_attributes(state: Any) -> None:
    """No inline style; and a list of Arabic has its bullets where its lines begin."""
    for token in state.tokens:
        if token.type in _LISTS:
            token.attrs["dir"] = "auto"
        style = token.attrs.pop("style", None)
        found = _ALIGNMENT.search(str(style)) if style else None
        if found:
            token.attrs["class"] = f"align-{found[1]}"
