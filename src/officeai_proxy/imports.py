"""A file in, its conversations in the database and an account of it out; never a request.

Reading is `formats.reading`'s and runs in a thread, storing is `storage.transfer.imports`'; here
they are put together. A few conversations at most are in memory. One that cannot be imported fails
alone; a database that is away for a moment is waited for.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

from officeai_proxy.auth.labels import check_label
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.errors import BodyTooLarge, DatabaseUnavailable, RequestRefused
from officeai_proxy.formats.reading.files import read_items
from officeai_proxy.formats.reading.imported import (
    Fault,
    ImportedConversation,
    Item,
    Reading,
    UnknownFile,
)
from officeai_proxy.model import Caller
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.transfer.imports import ImportRepository, Outcome, Owned

NOBODY = "imported"
"""The user of conversations for which nobody is named."""

MAX_ERRORS = 100
"""Errors that are told one by one."""

MAX_REASON = 300
"""Characters of a reason; some repeat what is in the file."""

# As many conversations are read in one go, or as few as have so many messages together.
_READ_ITEMS = 100
_READ_MESSAGES = 1000

READ_BYTES = 8 * 1024**2
"""How large they are together in the file, if there is more than one."""

_TRIES = 20
_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Failure:
    """Which conversation of the file could not be imported, counted from 1, and why."""

    item: int
    reason: str


@dataclass(slots=True)
class Account:
    """What has come of an import so far."""

    imported: int = 0
    skipped: int = 0
    failed: int = 0
    messages: int = 0
    errors: list[Failure] = field(default_factory=list)

    @property
    def numbers(self) -> dict[str, int]:
        """How much there is of each, without the reasons."""
        return {
            "imported": self.imported,
            "skipped": self.skipped,
            "failed": self.failed,
            "messages": self.messages,
        }

    def add(self, outcome: Outcome) -> None:
        """Count a conversation that was imported, or was there already."""
        self.messages += outcome.messages
        if outcome.has_changed:
            self.imported += 1
        else:
            self.skipped += 1

    def fail(self, item: int, reason: str) -> None:
        """Count one that could not be imported."""
        self.failed += 1
        if len(self.errors) < MAX_ERRORS:
            cut = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"
            self.errors.append(Failure(item, cut))


@dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    owned: Owned


class Trail(Protocol):
    """Where it is written down that something was done."""

    async def leave(self, *, user: str | None, detail: Mapping[str, str | int]) -> None:
        """Store a row that says what was done with whose data."""


def _nothing_told(_: Account) -> None:
    pass


class Importer:
    """Imports files for one caller."""

    def __init__(self, database: Database, caller: Caller, *, user: str | None) -> None:
        """Import into *caller*'s workspace; what names no user belongs to *user*."""
        self._database = database
        self._caller = caller
        self._user = user or caller.user

    async def run_on(
        self,
        trail: Trail,
        file: BinaryIO,
        reading: Reading,
        *,
        told: Callable[[Account], None] = _nothing_told,
    ) -> Account:
        """Do what `run` does, and leave two rows on *trail*: one before anything is stored, and one
        that tells how it ended, also when the file was refused.
        """
        await trail.leave(user=self._user, detail={"stage": "begun"})
        try:
            account = await self.run(file, reading, told=told)
        except (UnknownFile, BodyTooLarge) as refusal:
            detail = {"stage": "ended", "refused": refusal.code or "refused"}
            await trail.leave(user=self._user, detail=detail)
            raise
        await trail.leave(user=self._user, detail={"stage": "ended", **account.numbers})
        return account

    async def run(
        self, file: BinaryIO, reading: Reading, *, told: Callable[[Account], None] = _nothing_told
    ) -> Account:
        """Import what *file* holds; *told* hears of it as it goes on.

        Raises:
            UnknownFile: there is nothing in the file that can be imported.
            BodyTooLarge: the file is an archive, and too much would come out of it.
            DatabaseUnavailable: the database stayed away; importing again goes on from there.
        """
        account = Account()
        items = await asyncio.to_thread(read_items, file, reading)
        first = 1
        while batch := await asyncio.to_thread(_next, items):
            await self._take(batch, first, account)
            first += len(batch)
            told(account)
        account.errors.sort(key=lambda failure: failure.item)
        return account

    async def _take(self, batch: Sequence[Item], first: int, account: Account) -> None:
        ready: dict[tuple[str, str], _Numbered] = {}
        for number, item in enumerate(batch, start=first):
            if isinstance(item, Fault):
                account.fail(number, item.reason)
                continue
            try:
                owned = self._owned(item)
            except RequestRefused as exc:
                account.fail(number, exc.message)
                continue
            if owned.name in ready:
                # A second part of one conversation is compared with what the first has brought.
                await self._store(list(ready.values()), account)
                ready.clear()
            ready[owned.name] = _Numbered(number, owned)
        if ready:
            await self._store(list(ready.values()), account)

    def _owned(self, item: ImportedConversation) -> Owned:
        """*item* under checked names. What another program calls its user counts last.

        Raises:
            UnprocessableInput: a name in the file cannot be the name of a session or a user.
            NotAllowed: it is another user's than the one whom the key is bound to.
        """
        user = item.user_identifier or self._user or item.foreign_user or NOBODY
        checked = check_label("user_identifier", user)
        check_user(self._caller, checked, param="user_identifier")
        session = check_label("session_id", item.session_id)
        return Owned(replace(item, session_id=session), checked)

    async def _store(self, ready: Sequence[_Numbered], account: Account) -> None:
        """Store them together; one by one, if one of them cannot be stored."""
        try:
            outcomes = await self._store_patiently([one.owned for one in ready])
        except RequestRefused as exc:
            if len(ready) == 1:
                account.fail(ready[0].number, exc.message)
                return
            for one in ready:
                await self._store([one], account)
            return
        for outcome in outcomes:
            account.add(outcome)

    async def _store_patiently(self, owned: Sequence[Owned]) -> list[Outcome]:
        for _ in range(_TRIES):
            try:
                return await self._store_now(owned)
            except DatabaseUnavailable:
                await asyncio.sleep(_WAIT_SECONDS)
        return await self._store_now(owned)

    async def _store_now(self, owned: Sequence[Owned]) -> list[Outcome]:
        async with self._database.write() as connection:
            return await ImportRepository(connection, self._caller).add(owned)


def _next(items: Iterator[Item]) -> list[Item]:
    """The next items; none at the end."""
    batch: list[Item] = []
    messages = size = 0
    for item in items:
        batch.append(item)
        if isinstance(item, ImportedConversation):
            messages += len(item.messages)
            size += item.size
        if len(batch) == _READ_ITEMS or messages >= _READ_MESSAGES or size >= READ_BYTES:
            break
    return batch
