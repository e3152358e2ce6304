"""Lists of things to do in Markdown, whose boxes are drawn empty or ticked (GFM, 5.3).

They are letters and no fields: nobody can tick what somebody has said.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

_BOX = re.compile(r"\[([ xX])\] ")


def install(parser: MarkdownIt) -> None:
    """Let *parser* know them."""
    parser.core.ruler.push("tasks", _with_boxes)


def _with_boxes(state: StateCore) -> None:
    tokens = state.tokens
    for item, paragraph, text in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (item.type, paragraph.type) != ("list_item_open", "paragraph_open"):
            continue
        first = text.children[0] if text.children else None
        found = _BOX.match(first.content) if first and first.type == "text" else None
        if first and found:
            box = "☐" if found[1] == " " else "☑"
            first.content = f"{box} {first.content[found.end() :]}"
            item.attrs["class"] = "task"
