"""Bytes of an event stream in, events out, whatever the cuts; never raises and never looks inside.

The rules are those of the HTML standard's "event stream interpretation", with three additions that
a record of OpenAI-compatible servers needs: what is pending at the end is kept though its blank
line is missing, empty events (keep-alives) are skipped, and a line `error: …`, with which some
forks of llama.cpp end a broken stream, becomes an event of its own.
"""

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"
_BEGIN = "data: "
_END = "\n\n"
_BETWEEN = _END + _BEGIN


class Event(NamedTuple):
    """One event: its data, and its name or "" when the stream gave none."""

    name: str
    data: str


class EventReader:
    """Reads an event stream piece by piece, in time linear to its length."""

    def __init__(self) -> None:
        """Begin a new stream."""
        self._line = bytearray()
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[Event]:
        """The events that *data* completes."""
        if self._after_cr and data:
            # The line end CR LF was cut between two pieces; the CR has already ended the line.
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        events: list[Event] = []
        lines = data.splitlines()
        rest = b"" if data.endswith((b"\n", b"\r")) else lines.pop()
        self._after_cr = data.endswith(b"\r")
        if lines and self._line:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        for line in lines:
            self._take(line, events)
        self._line += rest
        return events

    def flush(self) -> list[Event]:
        """The events left when the stream has ended, also in the middle of a line."""
        events: list[Event] = []
        if self._line:
            line = bytes(self._line)
            self._line.clear()
            self._take(line, events)
        self._end_event(events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(BOM)
        if not line:
            self._end_event(events)
            return
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if field == b"data":
            self._data.append(text)
        elif field == b"event":
            self._name = text
        elif field == b"error" and text:
            events.append(Event("error", text))

    def _end_event(self, events: list[Event]) -> None:
        data = "\n".join(self._data)
        if data:
            events.append(Event(self._name, data))
        self._name = ""
        self._data = []


def read_events(data: bytes) -> list[Event]:
    """All events of a whole body.

    A body of nothing but `data: …` lines, each with its blank line, takes a shortcut; it gives
    exactly what an `EventReader` gives.
    """
    plain = plain_events(data)
    if plain is not None:
        return [Event("", event) for event in plain]
    reader = EventReader()
    return reader.feed(data) + reader.flush()


def plain_events(data: bytes) -> list[str] | None:
    """The data of all events of a whole body that is nothing but `data: …` lines, else None."""
    text = data.decode("utf-8", "replace")
    if not (text.startswith(_BEGIN) and text.endswith(_END)) or "\r" in text:
        return None
    events = text[len(_BEGIN) : -len(_END)].split(_BETWEEN)
    # When all line ends are accounted for, there is no other line, and none of them is broken.
    if text.count("\n") != len(_END) * len(events):
        return None
    return [event for event in events if event]
