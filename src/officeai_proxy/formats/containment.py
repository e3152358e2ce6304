"""A text as Markdown that stays inside its message, and the text again; nothing else is changed.

What was said cannot pass for another message or hide one: a line of it that looks like a speaker is
escaped, so is HTML, and a code block that was left open is closed. All of it can be undone, because
a line that looks as if it had been escaped here is escaped once more.
"""

import html
import re
import unicodedata
from collections.abc import Callable

from officeai_proxy.model import Role

OURS = "officeai-proxy"
"""Who exported a file, as its second line says."""

_LABELS = {
    Role.SYSTEM.value: "System",
    Role.DEVELOPER.value: "Developer",
    Role.USER.value: "User",
    Role.ASSISTANT.value: "Assistant",
    Role.TOOL.value: "Tool",
    Role.FUNCTION.value: "Function",
}

SPEAKER = re.compile(rf"\*\*({'|'.join(_LABELS.values())})\*\*(?: \(.*\))?")
"""The line with who speaks, as our export writes it."""

# These three end a line (CommonMark 0.31, 2.1), and no other character does.
_LINE_END = re.compile("\r\n|\r|\n")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
# Looking for code spans takes time that grows with the square of a line of nothing but backticks.
_LONG_LINE = 10_000
_LONG_SPEAKER = 200
_SAID = "|".join(sorted({label.casefold() for label in _LABELS.values()} | {"cursor", "unknown"}))
_SAYS = re.compile(rf"({_SAID})([:(].*)?", re.DOTALL)
_EXPORTED = re.compile(rf"_Exported on .* from {OURS}_")
_TAGS = re.compile(r"<[^>]*>")
_SIGNS = re.compile(r"[*_~`#>\\\s]")
_SPECIAL = re.compile(r"([\\`*_~#<>\[\]&|])")
_ESCAPED = re.compile(r"\\([\\`*_~#<>\[\]&|])")
_ESCAPED_LINE = re.compile(r"(?:[^\\`*_~#<>\[\]&|]++|\\[\\`*_~#<>\[\]&|])*+")
# The backslashes in front count, all of them: of an even number none is left for the tag.
_TAG = re.compile(r"(?<!\\)(\\*+)<(?=[A-Za-z/!?])")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


def label_of_role(role: str) -> str | None:
    """Who speaks, in a word; None for a role that is not one of the known ones."""
    return _LABELS.get(role)


def lines_of(text: str) -> list[str]:
    """The lines of *text*, without empty ones around it."""
    return _LINE_END.split(text.strip("\r\n"))


def escaped(text: str) -> str:
    """One line of text in which no character is Markdown."""
    return _SPECIAL.sub(r"\\\1", text)


def unescaped(text: str) -> str:
    """The line that `escaped` made *text* of."""
    return _ESCAPED.sub(r"\1", text)


def contained(text: str) -> str:
    """*text* as Markdown that stays inside its message."""
    lines: list[str] = []
    fence, opened = _Fence(), ""
    for line in lines_of(text):
        opened = fence.end
        lines.append(_code(line) if fence.takes(line) else _spoken(line))
    if fence.mark:
        lines.append(fence.end)
    elif opened and lines[-1].rstrip(" ") == opened:
        # It ends as if it had been closed here; a space more tells that it was not.
        lines[-1] += " "
    return "\n".join(lines)


def released(text: str) -> str:
    """The text that `contained` made *text* of; its lines end with LF."""
    lines: list[str] = []
    fence, opened = _Fence(), ""
    for line in text.split("\n"):
        opened = fence.end
        # Neither a fence nor how far a line is indented is ever escaped.
        lines.append(_code_again(line) if fence.takes(line) else _spoken_again(line))
    if opened and not fence.mark and lines[-1].rstrip(" ") == opened:
        lines[-1:] = [] if lines[-1] == opened else [lines[-1][:-1]]
    return "\n".join(lines)


def fenced(text: str, language: str = "") -> str:
    """*text* as a block of code."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    mark = "`" * (longest + 1)
    body = "\n".join(map(_code, lines_of(text)))
    return f"{mark}{language}\n{body}\n{mark}"


def unfenced(text: str) -> str | None:
    """The text that `fenced` made *text* of; None when it is something else."""
    mark, *body = text.split("\n")
    if len(body) < 2 or body[-1] != mark or not mark.startswith("```"):
        return None
    inner = "\n".join(map(_code_again, body[:-1]))
    return inner if fenced(inner) == text else None


class _Fence:
    """The code fence that is open (CommonMark 0.31, 4.5), as the lines of a message go by."""

    def __init__(self) -> None:
        self.mark = ""
        self.indent = 0
        self._left = ""

    @property
    def end(self) -> str:
        """The line that closes it, one mark longer than people write it; "" when none is open."""
        return f"{' ' * self.indent}{self.mark}{self.mark[0]}" if self.mark else ""

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


def _code(line: str) -> str:
    """A line of code; a program that looks for speakers knows nothing of code."""
    return escaped(line) if _misleads_in_code(line) else line


def _code_again(line: str) -> str:
    plain = _unescaped_if_escaped(line)
    return plain if plain is not None and _misleads_in_code(plain) else line


def _spoken(line: str) -> str:
    """A line of text."""
    return escaped(line) if _misleads(line) else _without_tags(line)


def _spoken_again(line: str) -> str:
    plain = _unescaped_if_escaped(line)
    return plain if plain is not None and _misleads(plain) else _with_tags(line)


def _misleads(line: str) -> bool:
    """Whether *line* would be taken for who speaks next, or for such a line in its escaped form."""
    if (len(line) < _LONG_SPEAKER or line.startswith("**")) and _passes_for_ours(line):
        return True
    if "\\" not in line:
        return False
    plain = _unescaped_if_escaped(_without_tags(line))
    return plain is not None and plain != line and _misleads(plain)


def _misleads_in_code(line: str) -> bool:
    if line.lstrip()[:2] in ("**", "__", "_E") and _passes_for_ours(line):
        return True
    plain = _unescaped_if_escaped(line)
    return plain is not None and _misleads_in_code(plain)


def _unescaped_if_escaped(line: str) -> str | None:
    """What `escaped` made *line* of; None when it cannot have."""
    is_escaped = "\\" in line and _ESCAPED_LINE.fullmatch(line)
    return unescaped(line) if is_escaped else None


def _passes_for_ours(line: str) -> bool:
    """Whether a reader, or a program, might take *line* for one that our export writes."""
    if "_Exported on " in line and _EXPORTED.fullmatch(line.strip()):
        return True
    plain = unicodedata.normalize("NFKC", html.unescape(line))
    # Behind the last end of a tag none ends: to look for it from each beginning there would take
    # time that grows with the square of the line.
    end = plain.rfind(">") + 1
    bare = _SIGNS.sub("", _TAGS.sub("", plain[:end]) + plain[end:]).casefold()
    return bare != plain.casefold().strip() and _SAYS.fullmatch(bare) is not None


def _without_tags(line: str) -> str:
    """*line* with a backslash in front of each tag, and with those twice that stood there."""
    if "<" not in line or not _TAG.search(line):
        return line
    return _outside_of_spans(line, _hide_tags, has_spans=len(line) < _LONG_LINE)


def _with_tags(line: str) -> str:
    """The line that `_without_tags` made *line* of."""
    if "\\<" not in line:
        return line
    plain = line
    # At most every character got a backslash, and the line was short enough for a look at spans.
    if len(line) < 2 * _LONG_LINE:
        plain = _outside_of_spans(line, _show_tags, has_spans=True)
    return plain if len(plain) < _LONG_LINE else _show_tags(line)


def _hide_tags(text: str) -> str:
    return _TAG.sub(r"\1\1\\<", text)


def _show_tags(text: str) -> str:
    return _TAG.sub(lambda found: found[1][: len(found[1]) // 2] + "<", text)


def _outside_of_spans(line: str, changed: Callable[[str], str], *, has_spans: bool) -> str:
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(line) if has_spans else ():
        pieces += [changed(line[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*pieces, changed(line[end:])])
