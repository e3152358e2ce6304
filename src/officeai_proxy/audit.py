"""Who did what in, rows of the audit log out; a read waits until its row is stored.

Changes put their row into their own transaction. Rows of reads are stored in batches: whoever
comes while a batch is being stored waits for the next one, so that many reads share a commit.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Detail, Event
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.database import Database

COMMAND_LINE = "command-line"
"""Who acts on the command line: no key is needed on the machine itself."""

RETENTION = "retention"
"""Who acts when the program tidies up by itself."""

MAX_BATCH = 500
"""Rows of one transaction."""


@dataclass(eq=False, slots=True)
class _Waiting:
    event: Event
    is_settled: bool = False
    error: Exception | None = None


class AuditLog:
    """The log of one database. Belongs to one event loop."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Write to *database*; *clock* tells the present moment."""
        self._database = database
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting: list[_Waiting] = []

    def trail(self, action: Action, caller: Caller, *, client_ip: str | None = None) -> "Trail":
        """What *caller*, who is about to do *action*, will leave behind."""
        return Trail(self, self._clock, action, caller, client_ip)

    async def keep(self, event: Event) -> None:
        """Return when *event* is stored, together with all that came meanwhile.

        Raises:
            DatabaseUnavailable: it cannot be stored now.
        """
        mine = _Waiting(event)
        self._waiting.append(mine)
        async with self._turn:
            while not mine.is_settled:
                await self._store_some()
        if mine.error is not None:
            raise mine.error

    async def _store_some(self) -> None:
        """Store what waits, for all who wait: one transaction, or one failure for all of them."""
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        error: Exception | None = None
        try:
            async with self._database.write() as connection:
                await append(connection, *(one.event for one in batch))
        except asyncio.CancelledError:
            # Only whoever stores for all has gone; the others are still waiting.
            self._waiting[:0] = batch
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, all who wait must hear of it
            error = exc
        for one in batch:
            one.is_settled, one.error = True, error


@dataclass(frozen=True, slots=True)
class Trail:
    """What one request or command leaves in the log: a row for each thing that it did."""

    log: AuditLog
    clock: Callable[[], datetime]
    action: Action
    caller: Caller
    client_ip: str | None = None

    def event(
        self,
        *,
        user: str | None = None,
        target: str | None = None,
        workspace: str | None = None,
        action: Action | None = None,
        is_sealed: bool = False,
        detail: Detail | None = None,
    ) -> Event:
        """What happened; a change appends it in its own transaction.

        *workspace* is where, if that is not the key's own.
        """
        return Event(
            at=self.clock(),
            actor=self.caller.key_id,
            action=action or self.action,
            workspace=workspace or self.caller.workspace,
            user=user,
            target=target,
            detail=detail or {},
            client_ip=self.client_ip,
            is_sealed=is_sealed,
        )

    async def leave(
        self,
        *,
        user: str | None = None,
        target: str | None = None,
        workspace: str | None = None,
        detail: Detail | None = None,
        is_sealed: bool = False,
    ) -> None:
        """Store that something was read; whoever waits for it gets the answer only afterwards.

        Names that led to nothing are sealed: it may be somebody who was erased.

        Raises:
            DatabaseUnavailable: it cannot be stored now.
        """
        event = self.event(
            user=user, target=target, workspace=workspace, detail=detail, is_sealed=is_sealed
        )
        await self.log.keep(event)

    async def refused(self, code: str, *, target: str | None = None) -> None:
        """Store that something was refused.

        What somebody asked for and did not get may be a name of nothing, or any text at all; so it
        is sealed: the row proves it, and does not tell it.

        Raises:
            DatabaseUnavailable: it cannot be stored now.
        """
        event = self.event(target=target, is_sealed=target is not None, detail={"refused": code})
        await self.log.keep(event)
