"""Slows down whoever tries many wrong keys from one address, in memory; never stops a correct key.

Whether a key opens something is decided before anybody asks here, so that a flood from an address
locks nobody out who shares it. What a flood costs is its answer, and a line in the log a minute.

Only different keys count. Whoever guesses sends another one each time; a program whose key has
ended sends the same one, and has to hear that it is wrong: SDKs repeat a call that got a 429.
"""

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from officeai_proxy.errors import TooManyWrongKeys

MOST = 60
"""Different wrong keys from one address in a minute that are answered one by one."""

SECONDS = 60.0
TELLING = 8
"""Bytes of a digest that tell keys apart here; all of them would take four times the memory."""

ADDRESSES = 4096
"""Addresses that are remembered; the one that was quiet for longest is forgotten first."""

log = logging.getLogger(__name__)


class WrongKeys:
    """How many wrong keys came from which address; each worker counts for itself."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* gives seconds."""
        self._clock = clock
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()

    def note(self, address: str, digest: bytes) -> None:
        """A wrong key, known by its *digest*, came from *address*.

        Raises:
            TooManyWrongKeys: it was one too many for this minute.
        """
        now, network = self._clock(), _network(address)
        minute = self._minutes.pop(network, None)
        if minute is None or now - minute.began >= SECONDS:
            minute = _Minute(now)
        self._minutes[network] = minute
        if len(self._minutes) > ADDRESSES:
            self._minutes.popitem(last=False)
        if minute.takes(digest[:TELLING]):
            return
        if not minute.is_logged:
            log.warning("more than %d wrong keys in a minute came from %s", MOST, network)
            minute.is_logged = True
        raise TooManyWrongKeys(retry_after=max(1, math.ceil(minute.began + SECONDS - now)))


@dataclass(slots=True)
class _Minute:
    """What came from one network since `began`."""

    began: float
    digests: bytes = b""
    """Their beginnings, one behind the other: a set of them would take five times the memory."""
    is_logged: bool = False

    def takes(self, digest: bytes) -> bool:
        """Whether *digest* was there before, or there is room for it."""
        if digest in self.digests:
            return True
        if len(self.digests) >= MOST * TELLING:
            return False
        self.digests += digest
        return True


def _network(address: str) -> str:
    """What one party has of addresses: one of IPv4, but 2^64 of IPv6 (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
