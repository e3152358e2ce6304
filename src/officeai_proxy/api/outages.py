"""Why the database made an answer a 503 in, a line of the log out; never more than one a minute.

What a database says is for who runs the program, and no caller is told it.
"""

import logging
import time

from officeai_proxy.errors import DatabaseUnavailable, ProxyError

SECONDS_BETWEEN = 60.0

_log = logging.getLogger(__name__)


class OutageLog:
    """Tells why readers get no answer; the recorder has a log of its own."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._next = 0.0

    def note(self, error: ProxyError) -> None:
        """Tell of *error* if the database said something and nothing was told for a minute."""
        if not isinstance(error, DatabaseUnavailable) or not error.said:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SECONDS_BETWEEN
            _log.warning("a request got a 503: %s", error)
