"""Why the database made an answer a 503 in, a line of the log out; the same words once a minute.

What a database says is for who runs the program, and no caller is told it.
"""

import logging
import time
from collections.abc import Callable

from officeai_proxy.errors import DatabaseUnavailable, ProxyError

SECONDS_BETWEEN = 60.0

SECONDS_BETWEEN_OTHERS = 5.0
"""The same for words that are new: an outage may have several, in turns."""

_log = logging.getLogger(__name__)


class OutageLog:
    """Tells why readers get no answer; the recorder has a log of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was told yet; *clock* gives seconds."""
        self._clock = clock
        self._said = ""
        self._told_at = 0.0

    def note(self, error: ProxyError) -> None:
        """Tell of *error* if the database said something, and that was not told just now."""
        if not isinstance(error, DatabaseUnavailable) or not error.said:
            return
        now = self._clock()
        pause = SECONDS_BETWEEN if error.said == self._said else SECONDS_BETWEEN_OTHERS
        if not self._said or now - self._told_at >= pause:
            self._said, self._told_at = error.said, now
            _log.warning("a request got a 503: %s", error)
