"""The body of a streamed reply in, what its chunks make together out; never all of it in pieces.

Whatever the chunks are, the result is that of reading one event after the other. The shortcuts here
are taken by most streams: chunks that are alike are read as a run, and others many at a time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.assemble import StreamAssembler
from officeai_proxy.wire.encoding import UndecodableBody
from officeai_proxy.wire.jsontext import has_long_number, loads, loads_all
from officeai_proxy.wire.loosejson import loads_loosely
from officeai_proxy.wire.runs import runs_in
from officeai_proxy.wire.sse import Event, plain_events, read_events

STRETCH = 1024 * 1024
"""Bytes of a stream whose events are taken apart at one time, about."""

_DONE = "[DONE]"
# The end of an event; a byte order mark behind it would be taken for that of the stream.
_BLANK_LINE = re.compile(rb"(?:\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))(?!\xef\xbb\xbf)")
_BEFORE_VALUES = (b",", b"[", b"{", b"\n", b"\r")
_AT_ONCE = 256  # More of them at one time would take memory and save nothing.


def read_stream(body: bytes, *, most_values: int | None = None) -> tuple[StreamAssembler, bool]:
    """What the chunks of *body* make together, and whether it says that it is done.

    Raises:
        UndecodableBody: an event holds more than *most_values*.
    """
    stream = StreamAssembler()
    for stretch in _stretches(body):
        check_values(stretch, most_values)
        if _add_events(stream, stretch):
            return stream, True
    return stream, False


def check_values(text: bytes, most: int | None) -> None:
    """See that *text* cannot hold many more than *most* values of JSON; None: it may.

    Raises:
        UndecodableBody: it may hold more.
    """
    if most is None or len(text) <= most:
        return
    if sum(text.count(mark) for mark in _BEFORE_VALUES) > most:
        raise UndecodableBody(f"the body has more than {most} values when it is unpacked")


def _stretches(body: bytes) -> Iterator[bytes]:
    """*body* cut between events, where nothing of one event is left for the next."""
    start = 0
    while len(body) - start > STRETCH:
        found = _BLANK_LINE.search(body, start + STRETCH)
        if found is None:
            break
        yield body[start : found.end()]
        start = found.end()
    yield body[start:]


def _add_events(stream: StreamAssembler, body: bytes) -> bool:
    """Feed all events of *body* to *stream*; whether one says that it is done."""
    done = 0
    for run in runs_in(body):
        if _add_others(stream, body[done : run.start]):
            return True
        stream.add_run(run)
        done = run.end
    return _add_others(stream, body[done:])


def _add_others(stream: StreamAssembler, body: bytes) -> bool:
    """Feed the events of *body*, which are no run."""
    exact = has_long_number(body)
    events = None if exact else plain_events(body)
    if events is None:
        return _add_each(stream, read_events(body), exact=exact)
    is_done = events[-1:] == [_DONE]
    if is_done:
        events.pop()
    return _add_apart(stream, events) or is_done


def _add_apart(stream: StreamAssembler, events: Sequence[str]) -> bool:
    """Feed the data of *events* without names and without long numbers."""
    for start in range(0, len(events), _AT_ONCE):
        some = events[start : start + _AT_ONCE]
        chunks = loads_all(some)
        if chunks is not None:
            for chunk in chunks:
                if isinstance(chunk, dict):
                    stream.add(chunk)
        elif _add_each(stream, [Event("", data) for data in some], exact=False):
            return True
    return False


def _add_each(stream: StreamAssembler, events: Iterable[Event], *, exact: bool) -> bool:
    for event in events:
        if event.data.strip() == _DONE:
            return True
        if _has_chunks_in_lines(event.data, exact=exact):
            if _add_each(stream, _lines_of(event), exact=exact):
                return True
            continue
        value = _value_of(event.data, exact=exact)
        stream.is_damaged |= value is None and event.data.startswith("{")
        chunk = _chunk_of(event, value)
        if chunk is not None:
            stream.add(chunk)
    return False


def _has_chunks_in_lines(data: str, *, exact: bool) -> bool:
    """Whether the lines of *data* are chunks of their own, because no blank lines part them.

    By the standard they are one event, which means nothing. Clients that read line by line, as many
    do, understand such servers.
    """
    first, _, more = data.partition("\n")
    if not more:
        return False
    try:
        loads(data, exact=exact)
    except ValueError:
        return first.strip() == _DONE or isinstance(_value_of(first, exact=exact), dict)
    return False


def _lines_of(event: Event) -> Iterator[Event]:
    """The lines of *event* as events; its name is that of the last."""
    *before, last = event.data.split("\n")
    for line in before:
        yield Event("", line)
    yield Event(event.name, last)


def _value_of(data: str, *, exact: bool) -> Json:
    """What *data* means as JSON; None when it means nothing, or only a part of it is there."""
    try:
        return loads(data, exact=exact)
    except ValueError:
        pass
    try:
        value, is_whole = loads_loosely(data)
    except ValueError:
        return None
    return value if is_whole else None


def _chunk_of(event: Event, value: Json) -> JsonObject | None:
    """The chunk of one event; None for data that is not a JSON object and no error either."""
    chunk = value if isinstance(value, dict) else None
    if event.name == "error" and not (chunk and chunk.get("error")):
        return {"error": value or event.data.strip()}
    return chunk
