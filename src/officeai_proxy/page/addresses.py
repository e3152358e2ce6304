"""Addresses that stand bare in a Markdown text in, links to them out; makes links of nothing else.

CommonMark wants `<` and `>` around them, which no model writes.
"""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

# Chinese needs no space around an address: its punctuation ends one, as brackets and quotes do.
_BARE = re.compile(
    r"(?<![0-9A-Za-z])https?://[^\s<>\"'`\\^{|}，。、；：！？…（）【】《》〈〉“”‘’「」『』]{1,2000}",
    re.IGNORECASE,
)
_BEHIND = ".,;:!?*_~"
"""What is of the sentence when it stands at the end of an address."""

_PAIRS = {")": "(", "]": "["}


def install(parser: MarkdownIt) -> None:
    """Let *parser* make links of bare addresses."""
    parser.core.ruler.push("addresses", _link_all)


def _link_all(state: StateCore) -> None:
    for token in state.tokens:
        if token.type == "inline" and token.children:
            token.children = list(_linked(token.children))


def _linked(tokens: list[Token]) -> Iterator[Token]:
    """*tokens* with links in their texts, but for texts that are in a link already."""
    depth = 0
    for token in tokens:
        depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text" and depth == 0:
            yield from _pieces(token.content)
        else:
            yield token


def _pieces(text: str) -> Iterator[Token]:
    done = 0
    for found in _BARE.finditer(text):
        address = _without_end(found[0])
        # A scheme alone is none.
        if address.endswith("/") and address.count("/") == 2:
            continue
        yield _text(text[done : found.start()])
        yield Token("link_open", "a", 1, {"href": address})
        yield _text(address)
        yield Token("link_close", "a", -1)
        done = found.start() + len(address)
    yield _text(text[done:])


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _without_end(address: str) -> str:
    """*address* without the signs behind it, such as the bracket that it stands in."""
    while True:
        last = address[-1]
        opening = _PAIRS.get(last)
        is_closed = opening is not None and address.count(last) > address.count(opening)
        if last not in _BEHIND and not is_closed:
            return address
        address = address[:-1]
