"""A chat exported as Markdown in, the conversation out.

This is what Cursor writes, and our own `md` export has the same shape: a title, a line that says
when it was exported, and the turns, each behind a line `---` and one such as `**User**`. Lines of
that kind inside a turn cannot be told from a new turn, unless they stand in a fence of code. In our
own export they are escaped, and so is HTML: there the texts come back as they were.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from officeai_proxy.formats.containment import OURS, SPEAKER, released, unescaped, unfenced
from officeai_proxy.formats.reading.imported import (
    ImportedConversation,
    Reading,
    derived_session_id,
)
from officeai_proxy.formats.reading.local_times import moment_of
from officeai_proxy.model import JsonObject, NewMessage, Role
from officeai_proxy.wire.cleantext import clean_text
from officeai_proxy.wire.messages import new_messages

_ROLES = {role.value: role for role in Role} | {"cursor": Role.ASSISTANT, "chatgpt": Role.ASSISTANT}
_SPEAKER = re.compile(r"\*\*(" + "|".join(_ROLES) + r")\*\*(?: .*)?", re.IGNORECASE)
_NEXT_CHAT = re.compile(
    r"^---\n\n(?=# [^\n]*\n_Exported on [^\n]* from officeai-proxy_$)", re.MULTILINE
)
_HEAD_LINES = 20
_LONGEST_EXPORTED = 200
# Markdown allows three spaces in front; in lists, fences stand deeper, at both of their ends.
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_EXPORTED = re.compile(r"[_*]Exported on (.+?)(?: from (.*))?[_*]")


def chats(text: str) -> list[str]:
    """The chats of a file; our own export may have several, each with a title of its own."""
    return _NEXT_CHAT.split(text.replace("\r\n", "\n"))


def is_chat(text: str) -> bool:
    """Whether *text* has the shape of an exported chat; one of ours may have nothing said in it."""
    lines = text.split("\n")
    return _head(lines).is_ours or next(_turns(lines), None) is not None


def conversation(text: str, reading: Reading) -> ImportedConversation:
    """The conversation that *text*, one of `chats`, tells."""
    lines = text.split("\n")
    head = _head(lines)
    exported = head.exported or reading.now
    messages: list[NewMessage] = []
    for role, said in _our_turns(lines) if head.is_ours else _turns(lines):
        raw: JsonObject = {"role": role.value, "content": said}
        messages += new_messages([raw], timestamp=exported, model_name=None)
    count = len(messages)
    return ImportedConversation(
        session_id=derived_session_id(head.title, [message.identity for message in messages]),
        title=head.plain_title,
        created_at=exported,
        updated_at=exported,
        messages=tuple(messages),
        parents=(None, *range(count - 1))[:count],
        leaf=count - 1 if count else None,
        is_copy=head.is_ours,
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """The title as it is written, when the chat was exported, and whether we did it."""

    title: str | None
    exported: datetime | None
    is_ours: bool

    @property
    def plain_title(self) -> str | None:
        """The title as it was: our exporter escapes each character that Markdown might take."""
        return unescaped(self.title) if self.title and self.is_ours else self.title


def _head(lines: list[str]) -> _Head:
    """What stands in the lines in front of the first `---`."""
    title, exported, is_ours = None, None, False
    for line in lines[:_HEAD_LINES]:
        if line.strip() == "---":
            break
        if title is None and line.startswith("# "):
            title = clean_text(line[2:].strip()) or None
        elif len(line) <= _LONGEST_EXPORTED and (found := _EXPORTED.fullmatch(line.strip())):
            exported, is_ours = moment_of(found[1]), found[2] == OURS
    return _Head(title, exported, is_ours)


def _turns(lines: list[str]) -> Iterator[tuple[Role, str]]:
    """The turns, each from the line with its speaker to the `---` before the next."""
    speaker: Role | None = None
    said: list[str] = []
    after_rule, fence = True, ""
    for line in lines:
        found = None if fence or not after_rule else _SPEAKER.fullmatch(line.rstrip())
        if found is not None:
            if speaker is not None:
                yield speaker, _without_rule(said)
            speaker, said = _ROLES[found[1].lower()], []
        else:
            said.append(line)
        fence = _fence_after(line, fence)
        if line.strip():
            after_rule = line.strip() == "---" and not fence
    if speaker is not None:
        yield speaker, _without_rule(said)


def _our_turns(lines: list[str]) -> Iterator[tuple[Role, str]]:
    """The turns of a chat that our export has written, with their texts as they were."""
    begins = [at for at, line in enumerate(lines) if SPEAKER.fullmatch(line)]
    for begin, end in pairwise([*begins, len(lines)]):
        said = "\n".join(lines[begin + 1 : end]).strip("\n")
        if end < len(lines):
            said = _without_last_rule(said).rstrip("\n")
        role = _ROLES[lines[begin][2:].partition("**")[0].lower()]
        result = unfenced(said) if role in (Role.TOOL, Role.FUNCTION) else None
        yield role, released(said) if result is None else result


def _fence_after(line: str, fence: str) -> str:
    """The mark that closes the fence of code one is in after *line*; "" outside of any."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    closes = line.strip() == found[1] and found[1].startswith(fence)
    return "" if closes else fence


def _without_rule(lines: list[str]) -> str:
    return _without_last_rule("\n".join(lines).strip("\n \t")).strip("\n")


def _without_last_rule(text: str) -> str:
    is_there = text == "---" or text.endswith("\n---")
    return text[: -len("---")] if is_there else text
