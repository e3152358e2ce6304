"""The bytes of a stream in, runs of events that differ only in a delta's text out; never raises.

Most of a stream is the same chunk again and again with the next few letters in it. What is the same
is read once, and of the others nothing but the text. What is not quite like that is no run.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from officeai_proxy.model import JsonObject
from officeai_proxy.wire.jsontext import has_long_number, loads
from officeai_proxy.wire.sse import BOM

LEAST = 4
"""Events of a run; for fewer of them it does not pay to look for what they share."""

WINDOW = 64 * 1024
"""Bytes that are looked at for one run; a longer one becomes several."""

_MOST_MISSES = 4  # One after the other: then the chunks of this stream are hardly alike.
_SHORT = WINDOW // 16  # Bytes of a run that is no reason to look at so much for the next one.
_BEGIN, _END = b"data: ", b"\n\n"
_CONTENT = re.compile(rb'"content"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_USUAL_LAST = 4  # What follows the text of most streams: a reason to finish, usage, the end.
_LINE_END = re.compile(rb"[\r\n]")
_MARK = secrets.token_hex(16)


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class Run:
    """Events from *start* to *end* of a stream that are the same but for the text of their delta.

    `first` is the chunk of the first of them, `texts` are the texts of all of them.
    """

    first: JsonObject
    texts: list[str]
    start: int
    end: int


def runs_in(stream: bytes) -> Iterator[Run]:
    """The runs of a *stream* that begins with an event, in order."""
    at = misses = 0
    while misses < _MOST_MISSES:
        run = run_at(stream, at)
        if run is not None:
            yield run
            at, misses = run.end, misses + 1 if run.end - run.start < _SHORT else 0
            continue
        end = stream.find(_END, at)
        if end < 0:
            return
        at, misses = end + len(_END), misses + 1


def run_at(stream: bytes, start: int) -> Run | None:
    """The run that begins at *start* of *stream*, where an event begins."""
    window = stream[start : start + WINDOW]
    end = window.find(_END)
    found = _CONTENT.search(window, 0, max(end, 0)) if window.startswith(_BEGIN) else None
    if found is None:
        return None
    before, after = window[len(_BEGIN) : found.start(1)], window[found.end(1) : end]
    is_alone = not window.startswith(_BEGIN + before, end + len(_END))
    if is_alone or _LINE_END.search(before) or _LINE_END.search(after):
        return None
    said, size = _said_in(window, before=before, after=after)
    if len(said) < LEAST or stream.startswith(BOM, start + size):
        return None
    around = _chunk_around(before, after)
    texts = None if around is None else _texts(said)
    if around is None or texts is None:
        return None
    chunk, item = around
    item["delta"] = {"content": texts[0]}
    return Run(chunk, texts, start, start + size)


def _said_in(window: bytes, *, before: bytes, after: bytes) -> tuple[list[bytes], int]:
    """What is said between *before* and *after* in the events that *window* begins with.

    And how many bytes these events have. Events end where a blank line does, which no JSON holds.
    """
    begin, end = _BEGIN + before, after + _END
    events = window.split(b"\n")[:-1:2]
    for _ in range(_USUAL_LAST):
        if events and not _is_alike(events[-1], begin, after):
            events.pop()
    said = [event[len(begin) : -len(after)] for event in events]
    whole = begin + (end + begin).join(said) + end
    if window.startswith(whole):
        return said, len(whole)
    # Something else stands among them. What is behind the last blank line is no whole event.
    alike = takewhile(lambda event: _is_alike(event, begin, after), window.split(_END)[:-1])
    said = [event[len(begin) : -len(after)] for event in alike]
    return said, sum(map(len, said)) + len(said) * (len(begin) + len(end))


def _is_alike(event: bytes, begin: bytes, after: bytes) -> bool:
    is_long_enough = len(event) > len(begin) + len(after)
    return is_long_enough and event.startswith(begin) and event.endswith(after)


def _chunk_around(before: bytes, after: bytes) -> tuple[JsonObject, JsonObject] | None:
    """A chunk whose one delta says nothing but a text between the two, and its one choice.

    Nobody can guess the mark. Where it is found, any other text in its place would be as well.
    """
    if has_long_number(b'%b""%b' % (before, after)):
        return None
    try:
        chunk = loads(f'{before.decode()}"{_MARK}"{after.decode()}', exact=False)
    except ValueError:
        return None
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    item = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not isinstance(chunk, dict) or not isinstance(item, dict):
        return None
    return (chunk, item) if item.get("delta") == {"content": _MARK} else None


def _texts(said: list[bytes]) -> list[str] | None:
    """What each of *said* means as JSON; None when one of them is no text, or on several lines."""
    # No text of JSON has a line end in it. So where all values are texts, and as many as there
    # should be, one is between two line ends each.
    lines = b",\n".join(said)
    if b"\r" in lines or lines.count(b"\n") >= len(said):
        return None
    try:
        values = loads(b"[%b]" % lines, exact=False)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) != len(said):
        return None
    texts = [value for value in values if isinstance(value, str)]
    return texts if len(texts) == len(said) else None
