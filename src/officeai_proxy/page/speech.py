"""A stored message in, what a reader sees of it out: who, when, the parts, and honest marks.

Text becomes HTML here and nowhere else; everything beside it stays text, which the templates
escape.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from http import HTTPStatus

from markupsafe import Markup

from officeai_proxy.formats.writing.blocks import PICTURE, Block, Kind, blocks_of, one_line, told
from officeai_proxy.model import Outcome, Role
from officeai_proxy.page import sounds
from officeai_proxy.page.figures import seconds
from officeai_proxy.page.language import Words
from officeai_proxy.page.markdown import Markdown
from officeai_proxy.storage.conversations.transcripts import Spoken, Tree

MOST_SHOWN = 200_000
"""Characters of one part of a message that are shown; an export has all of it."""

_FOLDED_ROLES = frozenset({Role.SYSTEM, Role.DEVELOPER})
_MEDIA = {
    "image_url": "media.image",
    "input_image": "media.image",
    "input_audio": "media.audio",
    "audio": "media.audio",
    "audio_url": "media.audio",
    "file": "media.file",
    "input_file": "media.file",
    "video_url": "media.video",
}
"""What OpenAI's types of parts are to a reader; another type keeps its name."""

# One line without a sign of Markdown, and without blanks that a browser draws together.
_SHOWN_AS_WRITTEN = re.compile(r"(?![ +-]|\d+[.)])(?:[^\s\\`*_\[\]<>#|~$&]| (?! |$))*")

_CUT_SHORT = {"length": "finish.length", "content_filter": "finish.content_filter"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message. What is folded shows its `title` until it is opened."""

    kind: str
    html: Markup
    title: str = ""

    @property
    def is_folded(self) -> bool:
        """Whether it is opened only when somebody wants to see it."""
        return bool(self.title)


@dataclass(frozen=True, slots=True)
class Turns:
    """Which of the messages that stand in one place this is, counted from 1, and its neighbours."""

    place: int
    count: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message as the template shows it. `name` is that of one of several in the same role."""

    id: int
    role: str
    who: str
    when: str
    name: str
    model: str
    facts: list[str]
    parts: list[Part]
    marks: list[str]
    turns: Turns | None = None
    text: str = field(repr=False, default="")

    @property
    def source(self) -> str:
        """The text as it was written, to be copied; empty where just that is shown."""
        is_alone = [part.kind for part in self.parts] == [Kind.TEXT]
        return "" if is_alone and _SHOWN_AS_WRITTEN.fullmatch(self.text) else self.text

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing of it to be seen, which a reader must be told."""
        return not self.parts and not self.marks


def said_of(messages: Sequence[Spoken], tree: Tree, words: Words, markdown: Markdown) -> list[Said]:
    """*messages* as a reader of the language of *words* sees them."""
    answered = {one.line.exchange_id for one in messages if one.line.role == Role.ASSISTANT}
    last_of_call = {one.line.exchange_id: one.line.id for one in messages}
    shown = []
    for place, (one, blocks) in enumerate(zip(messages, _blocks(messages), strict=True), 1):
        call = one.line.exchange_id
        is_unanswered = call is not None and call not in answered
        tells_failure = is_unanswered and last_of_call[call] == one.line.id
        follows = messages[place].line.role if place < len(messages) else None
        failure = _Failure.NONE
        if tells_failure:
            failure = _Failure.REPEATED if follows == Role.ASSISTANT else _Failure.LAST
        said = _said(one, blocks, words, markdown)
        # A request brings earlier answers along, which this call did not take any time for.
        is_reply = one.line.role == Role.ASSISTANT and last_of_call[call] == one.line.id
        facts = [*said.facts, *_times(one, words)] if is_reply else said.facts
        marks = _marks(one, words, failure)
        shown.append(replace(said, facts=facts, marks=marks, turns=_turns(one.line.id, tree)))
    return shown


def _blocks(messages: Sequence[Spoken]) -> list[list[Block]]:
    """What is to be read of each message; a result has the name of what was called before it."""
    called: dict[str, str] = {}
    found = []
    for one in messages:
        blocks = [_named(block, called) for block in blocks_of(one.line)]
        called |= {one.call: one.name for one in blocks if one.kind is Kind.CALL and one.call}
        found.append(blocks)
    return found


def _named(block: Block, called: Mapping[str, str]) -> Block:
    if block.kind is not Kind.RESULT or block.name:
        return block
    return replace(block, name=called.get(block.call, ""))


class _Failure(Enum):
    """What a message tells of its call's failure: that it is the last word, or was not."""

    NONE = auto()
    LAST = auto()
    REPEATED = auto()
    """The same was asked once more, and answered then."""


def _said(one: Spoken, blocks: Sequence[Block], words: Words, markdown: Markdown) -> Said:
    """A message without its marks and its neighbours, which others of its conversation decide."""
    line = one.line
    role = line.role if line.role in tuple(Role) else "other"
    parts = [_part(block, role, words, markdown) for block in blocks]
    names = [one_line(block.name) for block in blocks if block.kind is Kind.TEXT]
    return Said(
        id=line.id,
        role=role,
        who=words(f"role.{role}") if role != "other" else one_line(line.role),
        when=line.timestamp,
        name=names[0] if names else "",
        model=one_line(line.model_name or "") if role == Role.ASSISTANT else "",
        facts=[] if line.token_count is None else [words.count("tokens", line.token_count)],
        parts=parts,
        marks=[],
        # Half of a message must not be copied as if it were all of it: the mark says who has that.
        text=line.content if len(line.content) <= MOST_SHOWN else "",
    )


def _part(block: Block, role: str, words: Words, markdown: Markdown) -> Part:
    if block.kind is Kind.MEDIA:
        return _media(block, words)
    text = block.text[:MOST_SHOWN]
    match block.kind:
        case Kind.CALL:
            title = words("tool_call", name=one_line(block.name) or "?")
            html = markdown.code(text, language="json")
        case Kind.RESULT:
            name = one_line(block.name)
            title = words("tool_result_of", name=name) if name else words("tool_result")
            html = markdown.code(text)
        case Kind.REASONING:
            title, html = words("reasoning"), markdown.html(text)
        case _:
            title = words("instructions") if role in _FOLDED_ROLES else ""
            html = markdown.html(text)
    safe = Markup(html)  # noqa: S704 - `Markdown` writes nothing that is not safe
    if len(text) < len(block.text):
        told = words("cut", shown=f"{len(text):,}", all=f"{len(block.text):,}")
        safe += Markup('<p class="mark">✂ {}</p>').format(told)
    return Part(block.kind.value, safe, title)


def _media(block: Block, words: Words) -> Part:
    """What carries itself is shown or can be played; what lies at another host is a link to it."""
    known = _MEDIA.get(block.name)
    about = told(block if known is None else replace(block, name=words(known)))
    if PICTURE.fullmatch(block.text):
        picture = Markup('<img src="{}" alt="{}">').format(block.text, about)
        return Part("media", picture)
    sound = sounds.address_of(block)
    if sound is not None:
        # Paper plays nothing: there it is told what was to be heard.
        player = Markup(
            '<audio controls preload="metadata" src="{}" aria-label="{}"></audio>'
            '<p class="quiet heard">{}</p>'
        ).format(sound, about[:300], about[:300])
        return Part("media", player)
    if block.text.startswith(("https://", "http://")):
        link = Markup(
            '<p><a href="{}" target="_blank" rel="noopener noreferrer nofollow ugc">↗ {}</a></p>'
        ).format(block.text, about[:300])
        return Part("media", link)
    return Part("media", Markup('<p class="quiet">{}</p>').format(about[:300]))


def _times(reply: Spoken, words: Words) -> list[str]:
    """How long the call of a reply took, in a few words."""
    times = (("took", reply.latency_ms), ("first_token", reply.ttft_ms))
    return [words(name, time=seconds(time)) for name, time in times if time is not None]


def _marks(one: Spoken, words: Words, failure: _Failure) -> list[str]:
    """What went wrong, in words: a reader must not take half an answer for a whole one."""
    marks = []
    is_refused = bool(one.error or (one.status or 0) >= HTTPStatus.BAD_REQUEST)
    status = f"{one.status} " if one.status else ""
    what = f"{status}{one_line(one.error or '')[:500]}".strip()
    is_broken = one.call_outcome not in (None, Outcome.COMPLETE)
    outcome = one.line.outcome
    if failure is _Failure.REPEATED and (is_refused or is_broken):
        marks.append(words("repeated", what=what if is_refused else ""))
    elif failure is _Failure.LAST and is_refused:
        marks.append(words("refused", what=what))
    elif failure is _Failure.LAST and outcome is None:
        outcome = one.call_outcome
    if outcome is not None and outcome != Outcome.COMPLETE:
        name = f"outcome.{outcome}"
        known = name if name in words.names else "outcome.other"
        time = "" if one.latency_ms is None else words("after", time=seconds(one.latency_ms))
        marks.append(words(known, after=time))
    finish = _CUT_SHORT.get(one.line.finish_reason or "")
    if finish is not None:
        marks.append(words(finish))
    return marks


def _turns(message: int, tree: Tree) -> Turns | None:
    siblings = tree.siblings(message)
    if len(siblings) < 2:
        return None
    place = siblings.index(message)
    before = siblings[place - 1] if place else None
    after = siblings[place + 1] if place + 1 < len(siblings) else None
    return Turns(place + 1, len(siblings), before, after)
