"""What the settings say about keeping in, what is too old archived and deleted; never a call held
up.

It works in small transactions with pauses between them, so that calls are recorded meanwhile. When
it is stopped half way nothing is lost: what is archived is on the disk before its first row goes,
and the next run does the rest. Everything that is deleted leaves its tombstones, so that a journal
that is read again brings nothing back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from officeai_proxy.model import Caller, Conversation
from officeai_proxy.retention.archive import write_archive
from officeai_proxy.settings import Settings
from officeai_proxy.storage.audit.chain import Action, Detail, Event
from officeai_proxy.storage.audit.log import append, cut_off
from officeai_proxy.storage.conversations.shortening import shorten
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.retention import Amount, Due, RetentionRepository

ARCHIVED_AT_ONCE = 10_000
"""Conversations of one archive at most."""

CONVERSATIONS_AT_ONCE = 20
MESSAGES_AT_ONCE = 2000
"""What one transaction deletes at most, but for a single conversation that is larger."""

CALLS_AT_ONCE = 500
AUDIT_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes, and where it is archived. Rows of the audit log go by a time of their own."""

    due: Due
    archive_dir: Path | None = None
    audit_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all can go."""
        return self.due == Due() and self.audit_before is None


def plan_of(settings: Settings, now: datetime) -> Plan:
    """What *settings* say must go at *now*."""
    return Plan(
        due=Due(
            before=_ago(now, settings.retention_days), binned_before=_ago(now, settings.bin_days)
        ),
        archive_dir=settings.archive_dir,
        audit_before=_ago(now, settings.audit_days),
    )


def _ago(now: datetime, days: float) -> datetime | None:
    return now - timedelta(days=days) if days else None


class Pruning:
    """Deletes what a plan says, in one database."""

    def __init__(
        self, database: Database, *, actor: str, clock: Callable[[], datetime], rest: float = 1.0
    ) -> None:
        """Delete in *database* as *actor*.

        *rest* is how long a pause is, measured by the time that the transaction before it took.
        """
        self._database = database
        self._actor = actor
        self._clock = clock
        self._rest = rest

    async def amounts(self, plan: Plan) -> list[Amount]:
        """How much would go, for each workspace; changes nothing.

        Raises:
            DatabaseUnavailable: the database cannot be read.
        """
        async with self._database.read() as connection:
            return await RetentionRepository(connection).amounts(plan.due)

    async def run(self, plan: Plan) -> list[Amount]:
        """Delete what *plan* says; how much went, for each workspace that had something.

        Raises:
            ArchiveNotWritten: it was to be archived first, and could not.
            DatabaseUnavailable: the database went away.
        """
        done = [await self._prune(amount.workspace, plan) for amount in await self.amounts(plan)]
        if plan.audit_before is not None:
            await self._prune_audit(plan.audit_before)
        return done

    async def _prune(self, workspace: str, plan: Plan) -> Amount:
        await self._tell(workspace, {"stage": "begun"})
        done, archives = Amount(workspace=workspace), 0
        for in_bin in (False, True):
            async for found in self._found(plan.due, workspace, in_bin=in_bin):
                # What somebody threw away is not kept by a way round.
                kept = found if in_bin else await self._archived(found, plan)
                archives += plan.archive_dir is not None and not in_bin
                for some in _batches(kept):
                    gone = await self._erase(some)
                    done = done.with_more(
                        conversations=gone.conversations, messages=gone.messages, calls=gone.calls
                    )
        if plan.due.before is not None:
            done = done.with_more(calls=await self._erase_calls(workspace, plan.due.before))
        numbers = {"conversations": done.conversations, "messages": done.messages}
        detail: Detail = {"stage": "ended", **numbers, "calls": done.calls, "archives": archives}
        await self._tell(workspace, detail)
        return done

    async def _found(
        self, due: Due, workspace: str, *, in_bin: bool
    ) -> AsyncIterator[list[Conversation]]:
        above = 0
        while True:
            async with self._database.read() as connection:
                found = await RetentionRepository(connection).find(
                    due, workspace=workspace, above=above, limit=ARCHIVED_AT_ONCE, in_bin=in_bin
                )
            if not found:
                return
            yield found
            above = found[-1].id

    async def _archived(self, found: list[Conversation], plan: Plan) -> list[Conversation]:
        """Those of *found* that are in an archive now; all of them when none is asked for."""
        if plan.archive_dir is None or plan.due.before is None:
            return found
        names = await write_archive(
            self._database,
            Caller(self._actor, found[0].workspace),
            found,
            before=plan.due.before,
            directory=plan.archive_dir,
            now=self._clock(),
        )
        return [one for one in found if (one.session_id, one.user_identifier) in names]

    async def _erase(self, some: Sequence[Conversation]) -> Amount:
        walls = Caller(self._actor, some[0].workspace)
        left = [await shorten(self._database, walls, one, now=self._clock()) for one in some]
        began = time.monotonic()
        async with self._database.write() as connection:
            gone = await RetentionRepository(connection).erase(left, now=self._clock())
        await self._pause(began)
        before, after = (sum(one.message_count for one in them) for them in (some, left))
        return gone.with_more(messages=before - after)

    async def _erase_calls(self, workspace: str, before: datetime) -> int:
        total = 0
        while True:
            began = time.monotonic()
            async with self._database.write() as connection:
                count = await RetentionRepository(connection).erase_calls(
                    workspace=workspace, before=before, limit=CALLS_AT_ONCE, now=self._clock()
                )
            total += count
            if count < CALLS_AT_ONCE:
                return total
            await self._pause(began)

    async def _prune_audit(self, before: datetime) -> None:
        """Cut the oldest rows off; a row of the chain says where it goes on."""
        while True:
            began = time.monotonic()
            async with self._database.write() as connection:
                cut = await cut_off(connection, before=before, limit=AUDIT_ROWS_AT_ONCE)
                if cut:
                    await append(connection, self._event(Action.PRUNE_AUDIT, None, cut))
            if not cut or cut["rows"] != AUDIT_ROWS_AT_ONCE:
                return
            await self._pause(began)

    async def _tell(self, workspace: str, detail: Detail) -> None:
        async with self._database.write() as connection:
            await append(connection, self._event(Action.RETAIN, workspace, detail))

    def _event(self, action: Action, workspace: str | None, detail: Detail) -> Event:
        return Event(
            at=self._clock(), actor=self._actor, action=action, workspace=workspace, detail=detail
        )

    async def _pause(self, began: float) -> None:
        """Leave the database to others for as long as it was ours."""
        await asyncio.sleep(self._rest * (time.monotonic() - began))


def _batches(found: Sequence[Conversation]) -> Iterator[list[Conversation]]:
    """*found* in parts that one transaction can delete without holding others up for long."""
    batch: list[Conversation] = []
    messages = 0
    for one in found:
        too_much = messages + one.message_count > MESSAGES_AT_ONCE
        if batch and (too_much or len(batch) == CONVERSATIONS_AT_ONCE):
            yield batch
            batch, messages = [], 0
        batch.append(one)
        messages += one.message_count
    if batch:
        yield batch
