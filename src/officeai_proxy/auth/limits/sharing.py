"""Tells other hosts what keys use here and hears what they use there, twice a second; never on the
way of a call.

One worker of a host does it, the one that holds the lock. Uses travel as numbers per second with
the newest first, so that the clocks of hosts need not agree: how old they are says the database.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from officeai_proxy.auth.limits.account import Account
from officeai_proxy.auth.limits.files import SharedLock
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.auth.limits.minute import CELLS, Minute
from officeai_proxy.model import HostUse

INTERVAL = 0.5
"""Seconds between two exchanges with the other hosts."""

PATIENCE = 5.0
"""Seconds after which an exchange that hangs is given up, so that the next one can succeed."""

log = logging.getLogger(__name__)


class UseBoard(Protocol):
    """Where hosts tell one another what their keys use."""

    async def tell(self, host: str, uses: Sequence[HostUse]) -> None:
        """Put *uses* in the place of what *host* told of these accounts before."""

    async def hear(self, host: str) -> list[HostUse]:
        """What all hosts but *host* told in the last minute or so."""


class UseSharing:
    """The exchange of one host with the others."""

    def __init__(
        self,
        ledger: Ledger,
        board: UseBoard,
        *,
        directory: Path,
        accounts: Callable[[], Collection[str]],
    ) -> None:
        """Exchange the uses of *accounts* over *board*.

        Raises:
            OSError: the files in *directory* cannot be made.
        """
        self._ledger = ledger
        self._board = board
        self._accounts = accounts
        self._host = _host(directory / "host")
        self._lock = SharedLock(directory / "sharing.lock")
        self._is_mine = False
        self._told: set[str] = set()
        self._failing = False

    async def run(self) -> None:
        """Exchange again and again; runs until it is cancelled."""
        try:
            while True:
                await self.exchange()
                await asyncio.sleep(INTERVAL)
        finally:
            self._lock.close()

    async def exchange(self) -> None:
        """Tell and hear once. When that fails, what was heard before grows old by itself."""
        accounts = self._accounts()
        self._is_mine = self._is_mine or self._lock.try_once()
        if not accounts or not self._is_mine:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                uses = [self._use(name) for name in accounts]
                # What was told last has to be taken back once there is nothing more to tell.
                news = [use for use in uses if not use.is_idle or use.account in self._told]
                if news:
                    await self._board.tell(self._host, news)
                self._told = {use.account for use in news if not use.is_idle}
                self._note(accounts, await self._board.hear(self._host))
        except Exception as exc:  # noqa: BLE001 - limits of this host go on, whatever happens here
            self._report_failure(exc)
            return
        if self._failing:
            log.info("the limits of keys are shared with other hosts again")
        self._failing = False

    def _use(self, name: str) -> HostUse:
        """What *name* used on this host."""
        account = self._ledger.account(name)
        with self._ledger.lock:
            second = account.advance(self._ledger.now())
            return HostUse(
                account=name,
                running=self._ledger.running_here(account),
                requests=_by_age(account.requests.here, second),
                tokens=_by_age(account.tokens.here, second),
            )

    def _note(self, accounts: Collection[str], heard: Sequence[HostUse]) -> None:
        """Put what was *heard* into the accounts, in the place of what was heard before."""
        for name in accounts:
            account = self._ledger.account(name)
            with self._ledger.lock:
                second = account.advance(self._ledger.now())
                _put(account, second, [use for use in heard if use.account == name])

    def _report_failure(self, reason: Exception) -> None:
        """Say it once and not twice a second."""
        if not self._failing:
            log.warning("limits of keys hold on this host alone for now: %r", reason)
        self._failing = True


def _by_age(minute: Minute, second: int) -> list[int]:
    numbers = [minute.at(second - age) for age in range(CELLS)]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _put(account: Account, second: int, uses: Sequence[HostUse]) -> None:
    account.hear(second, sum(use.running for use in uses))
    for use in uses:
        told = int(use.age)
        for minute, numbers in (
            (account.requests.elsewhere, use.requests),
            (account.tokens.elsewhere, use.tokens),
        ):
            for age, amount in enumerate(numbers, start=told):
                if amount and age < CELLS:
                    minute.add(second - age, amount)


def _host(path: Path) -> str:
    """The name of this host's data directory: made once, and kept over restarts."""
    new = path.with_suffix(f".{uuid4().hex}")
    new.write_text(uuid4().hex, encoding="ascii")
    new.chmod(0o600)
    try:
        # Of several workers that start at once, one makes the name.
        path.hardlink_to(new)
    except FileExistsError:
        pass
    finally:
        new.unlink()
    return path.read_text(encoding="ascii")
