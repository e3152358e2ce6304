"""The upstream's name to its addresses, looked up once for all calls that wait for them.

The system's lookup cannot be given up, and takes many seconds when no name server answers. The
loop's own would be asked for each call, a few at a time, and the program could not end before the
last of them had come back. Nothing is remembered: the next call after an answer asks again.
"""

import asyncio
import socket
import threading
from ipaddress import ip_address

from officeai_proxy.proxy.upstream.address import Address


class Lookup:
    """Looks one name up; belongs to one event loop."""

    def __init__(self, address: Address) -> None:
        """Look the host of *address* up when it is asked for."""
        self._host = address.host
        self._port = address.port
        self._running: asyncio.Future[list[str]] | None = None

    async def hosts(self) -> list[str]:
        """The IP addresses of the host, the best first.

        Raises:
            OSError: it has none, or nobody could be asked.
        """
        if _is_ip(self._host):
            return [self._host]
        if self._running is None or self._running.done():
            self._running = self._begun()
        # Whoever gives up does so alone.
        return await asyncio.shield(self._running)

    def _begun(self) -> "asyncio.Future[list[str]]":
        """The answer to a new lookup, which is on its way."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        # The program may end while it runs, which it could not with a thread of the loop's.
        thread = threading.Thread(
            target=self._look_up, args=(loop, answer), name="lookup", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:
            # The account has as many threads as it may have; that passes.
            raise OSError(f"the name cannot be looked up: {exc}") from exc
        return answer

    def _look_up(
        self, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[list[str]]"
    ) -> None:
        found: list[str] | OSError
        try:
            infos = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            # An address of IPv6 comes with its zone, if it has one.
            found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as exc:
            found = exc
        except UnicodeError as exc:
            found = OSError(str(exc))
        try:
            loop.call_soon_threadsafe(_settle, answer, found)
        except RuntimeError:
            # The program has ended meanwhile.
            return


def _settle(answer: "asyncio.Future[list[str]]", found: list[str] | OSError) -> None:
    if answer.cancelled():
        return
    if isinstance(found, OSError):
        answer.set_exception(found)
    else:
        answer.set_result(found)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
