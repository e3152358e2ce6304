"""Events of a stream in, runs of them that differ only in a delta's text out; never raises.

Most of a stream is the same chunk again and again with the next few letters in it. What is the same
is read once, and of the others nothing but the text. What is not quite like that is no run.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from officeai_proxy.model import JsonObject
from officeai_proxy.wire.jsontext import loads, loads_all

LEAST = 4
"""Events of a run; for fewer of them it does not pay to look for what they share."""

_CONTENT = re.compile(r'"content"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_MARK = secrets.token_hex(16)


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True)
class Run:
    """Chunks that are the same but for the text of their one delta.

    `first` is the first of them, `texts` are the texts of all of them.
    """

    first: JsonObject
    texts: list[str]


def run_at(events: Sequence[str], start: int) -> Run | None:
    """The run that begins at *start* of *events*, the data of which has no long numbers."""
    found = _CONTENT.search(events[start])
    if found is None:
        return None
    before, after = events[start][: found.start(1)], events[start][found.end(1) :]
    end = _end_of(events, start, before=before, after=after)
    if end - start < LEAST or not _is_all_that_is_said(before, after):
        return None
    said = slice(len(before), -len(after))
    values = loads_all([event[said] for event in events[start:end]]) or []
    texts = [value for value in values if isinstance(value, str)]
    first = loads(events[start], exact=False)
    if len(texts) != end - start or not isinstance(first, dict):
        return None
    return Run(first, texts)


def _end_of(events: Sequence[str], start: int, *, before: str, after: str) -> int:
    """Where the events end that begin with *before* and end with *after*, from *start* on."""
    shared = len(before) + len(after)
    for at in range(start, len(events)):
        event = events[at]
        if not (event.startswith(before) and event.endswith(after) and len(event) > shared):
            return at
    return len(events)


def _is_all_that_is_said(before: str, after: str) -> bool:
    """Whether a text between the two is all that the one delta of a chunk says.

    Nobody can guess the mark. Where it is found, any other text in its place would be as well.
    """
    try:
        chunk = loads(f'{before}"{_MARK}"{after}', exact=False)
    except ValueError:
        return False
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    item = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    return isinstance(item, dict) and item.get("delta") == {"content": _MARK}
