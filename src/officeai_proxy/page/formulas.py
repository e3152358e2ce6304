r"""Formulas in Markdown, as models write them, in; the same characters out; draws no formula.

`\(a\)`, `\[a\]`, `$a$` and `$$a$$` are no Markdown, which takes the backslashes out of them, sets
what is between two subscripts in italics and makes lists of lines that begin with a sign. Here a
formula is one piece of text that nothing else reads.
"""

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_LONGEST = 4000
"""Characters in which a formula must end, so that a text of openings alone costs little."""

_CLOSINGS = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
_ON_ITS_OWN = (r"\[", "$$")

# Between two prices, and in front of a variable of a shell, there is no formula: as Pandoc has it
# (extension `tex_math_dollars`), no space is within the signs, and nothing of a word behind them.
_BETWEEN_DOLLARS = re.compile(r"\$[^\s$](?:[^$\n]{0,500}?[^\s$\\])?\$(?![0-9A-Za-z])")


def install(parser: MarkdownIt) -> None:
    """Let *parser* keep formulas as they are."""
    parser.inline.ruler.before("escape", "formula", _within_a_line)
    parser.block.ruler.before(
        "fence", "formula", _lines, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.add_render_rule("formula", _formula)
    parser.add_render_rule("formula_lines", _formula_lines)


def _within_a_line(state: StateInline, silent: bool) -> bool:
    end = _end(state.src, state.pos, state.posMax)
    if end is None:
        return False
    if not silent:
        state.push("formula", "code", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _end(text: str, start: int, limit: int) -> int | None:
    """Where the formula ends that begins at *start*, if one does."""
    opening = text[start : start + 2]
    closing = _CLOSINGS.get(opening)
    if closing is None:
        found = _BETWEEN_DOLLARS.match(text, start, limit)
        return found.end() if found else None
    end = text.find(closing, start + 2, min(limit, start + _LONGEST))
    return None if end < 0 or not text[start + 2 : end].strip() else end + 2


def _lines(
    state: StateBlock,
    start: int,
    limit: int,
    silent: bool,
) -> bool:
    """A formula with lines of its own, up to the line that ends with its closing."""
    first = state.bMarks[start] + state.tShift[start]
    opening = state.src[first : first + 2]
    if opening not in _ON_ITS_OWN or state.is_code_block(start):
        return False
    end = state.src.find(_CLOSINGS[opening], first + 2, first + _LONGEST)
    last = start
    while end >= 0 and last < limit and state.eMarks[last] < end:
        last += 1
        if last < limit and (state.isEmpty(last) or state.sCount[last] < state.blkIndent):
            return False
    if end < 0 or last >= limit or state.src[end + 2 : state.eMarks[last]].strip():
        return False
    if not silent:
        token = state.push("formula_lines", "code", 0)
        token.content = state.getLines(start, last + 1, state.sCount[start], keepLastLF=False)
        token.map = [start, last + 1]
        state.line = last + 1
    return True


# The parser hands its renderer to a rule as `self`, so that no method can be one.
def _formula(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    return f'<code class="formula" dir="ltr">{escape(tokens[place].content)}</code>'


def _formula_lines(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    # Focus lets a wide formula be scrolled by keyboard.
    text = escape(tokens[place].content)
    return f'<pre class="formula" dir="ltr" tabindex="0"><code>{text}</code></pre>\n'
