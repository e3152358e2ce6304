"""What the recorder is storing, noted for the next one, which may have to know of what it died.

A process can die of one exchange: of memory, where a container has little and a message is long, or
of a fault in a library. The next one would begin with the same exchange and die of it as well, and
so on for ever. The note outlives the process and need not outlive the machine: it is never synced.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct

from officeai_proxy.recording.reader import Entry

MAX_DEATHS = 3
"""Of an exchange that was being stored, and no other, as often as this, no further one dies."""

_NOTE = Struct("<16sB")
_SEVERAL = b"\xff" * 16
_NOBODY = bytes(16)
_NOTHING = _NOTE.pack(_NOBODY, 0)

log = logging.getLogger(__name__)


class Attempt:
    """The note, in a file that whoever stores exchanges has for itself."""

    def __init__(self, *, most: int) -> None:
        """*most* exchanges are stored at once when nothing is wrong."""
        self._most = most
        self._file: int | None = None
        self._suspect, self._deaths = _NOBODY, 0
        self._one_by_one = 0
        self._now = _NOTHING
        self._noted = b""

    def take_over(self, file: int) -> None:
        """Read from *file* what the one before was at when it ended, and note there from now on."""
        self._file = file
        found = b""
        with suppress(OSError):
            found = os.pread(file, _NOTE.size, 0)
        if len(found) != _NOTE.size:
            return
        self._suspect, deaths = _NOTE.unpack(found)
        if self._suspect != _NOBODY:
            self._deaths = min(deaths + 1, MAX_DEATHS)
            self._one_by_one = self._most
            log.warning(
                "a process ended while it stored calls; for a while they are stored one by one, "
                "so that it can be told whether it died of one"
            )

    @property
    def at_once(self) -> int:
        """How many exchanges may be stored at once now."""
        return 1 if self._one_by_one > 0 else self._most

    def is_deadly(self, entry: Entry) -> bool:
        """Whether so many processes have died of *entry* that no other should try it."""
        return self._deaths >= MAX_DEATHS and _name_of([entry]) == self._suspect

    def begin(self, entries: Sequence[Entry]) -> None:
        """Note that *entries* are being stored."""
        name = _name_of(entries)
        self._one_by_one = max(0, self._one_by_one - len(entries))
        self._now = _NOTE.pack(name, self._deaths if name == self._suspect else 0)
        self.go_on()

    def go_on(self) -> None:
        """Note them again, after a `rest`."""
        self._note(self._now)

    def rest(self) -> None:
        """Note that nothing is being stored: whoever dies now does not die of them."""
        self._note(_NOTHING)
        if self._now.startswith(self._suspect):
            # It is stored or set aside, and who has that tried again begins anew.
            self._deaths = 0

    def _note(self, note: bytes) -> None:
        if note != self._noted and self._file is not None:
            # On a full disk there is no note, as long as the file has not had one before.
            with suppress(OSError):
                os.pwrite(self._file, note, 0)
            self._noted = note


def _name_of(entries: Sequence[Entry]) -> bytes:
    """The exchange that *entries* are, or that they are several."""
    if len(entries) == 1 and (exchange := entries[0].exchange) is not None:
        return exchange.id.bytes
    return _SEVERAL
