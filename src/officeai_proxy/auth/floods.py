"""Slows down whoever tries many wrong keys from one address, in memory; never stops a correct key.

Whether a key opens something is decided before anybody asks here, so that a flood from an address
locks nobody out who shares it. What a flood costs is its answer, and a line in the log a minute.
"""

import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from officeai_proxy.errors import TooManyWrongKeys

MOST = 60
"""Wrong keys from one address in a minute that are answered one by one."""

SECONDS = 60.0
ADDRESSES = 4096
"""Addresses that are remembered; the one that was quiet for longest is forgotten first."""

log = logging.getLogger(__name__)


class WrongKeys:
    """How many wrong keys came from which address; each worker counts for itself."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* gives seconds."""
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> None:
        """A wrong key came from *address*.

        Raises:
            TooManyWrongKeys: it was one too many for this minute.
        """
        now, network = self._clock(), _network(address)
        began, count = self._counts.pop(network, (now, 0))
        if now - began >= SECONDS:
            began, count = now, 0
        self._counts[network] = (began, count + 1)
        if len(self._counts) > ADDRESSES:
            self._counts.popitem(last=False)
        if count < MOST:
            return
        if count == MOST:
            log.warning("more than %d wrong keys in a minute came from %s", MOST, network)
        raise TooManyWrongKeys(retry_after=max(1, math.ceil(began + SECONDS - now)))


def _network(address: str) -> str:
    """What one party has of addresses: one of IPv4, but 2^64 of IPv6 (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
