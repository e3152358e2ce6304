"""The audit log walked from its first row to its last; what breaks the chain out, nothing changed.

What it proves: no row that is there was changed, put in, moved or taken out from between others;
no name was struck out but by an erasure; the oldest rows are missing only up to where a row of the
log says that they were cut off; and the newest ones are all there, because the log's head says how
many there must be. What it cannot prove alone: somebody who may write to the database can cut off
the newest rows and set the head back to match. Against that, keep a head that was told before, and
give it to `verify`: that row must still be there with its hash.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.storage.audit.chain import GENESIS, Action, Row
from officeai_proxy.storage.audit.log import Head, anonymised_by, detail_of, read_head, row_from
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import audit_log

PAGE = 1000
"""Rows of one read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: how many rows there are, where the chain ends, and what is wrong, if so."""

    rows: int
    head: Head
    fault: str | None


class BrokenChain(Exception):
    """The log is not what was written; the message says where it begins to differ."""


@dataclass(slots=True)
class _Walk:
    """How far the walk has come, and what it has seen."""

    rows: int = 0
    first: Row | None = None
    last: Row | None = None
    anonymised: int = 0
    erased: int = 0
    checkpoints: dict[int, Row] = field(default_factory=dict)

    def step(self, row: Row) -> None:
        """Go on to *row*.

        Raises:
            BrokenChain: it does not follow.
        """
        before = self.last
        if before is not None and row.id != before.id + 1:
            raise BrokenChain(f"row {before.id + 1} is missing")
        if before is not None and row.previous != before.hash:
            raise BrokenChain(f"row {row.id} does not follow the row before it")
        try:
            is_as_written, has_its_names = row.hash == row.expected_hash(), row.has_its_names()
        except (AttributeError, TypeError) as exc:
            # SQLite keeps any value in any column, also a text where there must be bytes.
            raise BrokenChain(f"row {row.id} was changed") from exc
        if not is_as_written:
            raise BrokenChain(f"row {row.id} was changed")
        if not has_its_names:
            raise BrokenChain(f"row {row.id} names somebody else than it did")
        self.rows += 1
        self.first = self.first or row
        self.last = row
        self.anonymised += row.is_anonymised
        self.erased += anonymised_by(row)
        if row.action == Action.PRUNE_AUDIT:
            self.checkpoints[int(detail_of(row).get("through", 0))] = row

    def check_beginning(self) -> None:
        """Compare where the log begins with where it was last cut off.

        Raises:
            BrokenChain: rows are missing before it, or names are that nobody erased.
        """
        first, owed = self.first, 0
        if first is not None and first.id != 1:
            checkpoint = self.checkpoints.get(first.id - 1)
            if checkpoint is None:
                raise BrokenChain(f"the rows before row {first.id} are missing")
            told = detail_of(checkpoint)
            owed = int(told["owed"])
            if told["hash"] != first.previous.hex():
                raise BrokenChain(f"row {first.id} does not follow those that were cut off")
        elif first is not None and first.previous != GENESIS:
            raise BrokenChain("row 1 is not the first that was written")
        if self.anonymised != self.erased + owed:
            raise BrokenChain(
                f"rows without names: {self.anonymised}, told by erasures: {self.erased + owed}"
            )

    def check_end(self, head: Head | None) -> Head:
        """Compare where the log ends with its head.

        Raises:
            BrokenChain: they differ.
        """
        end = Head(0, GENESIS) if self.last is None else Head(self.last.id, self.last.hash)
        if head is None:
            raise BrokenChain("the log's head is missing")
        if end.count < head.count:
            raise BrokenChain(f"the rows after row {end.count} are missing, up to row {head.count}")
        if end.count > head.count:
            raise BrokenChain(f"row {head.count + 1} was put in behind the end")
        if end.hash != head.hash:
            raise BrokenChain(f"row {end.count} is not the one that the log's head names")
        return head


async def verify(database: Database, *, known: Head | None = None) -> Verdict:
    """Walk the chain, as it is at this moment; *known* is a head that it had before.

    Raises:
        DatabaseUnavailable: the database cannot be read.
    """
    walk = _Walk()
    async with database.read() as connection:
        head = await read_head(connection)
        try:
            async for row in _rows(connection):
                walk.step(row)
                if known is not None and row.id == known.count and row.hash != known.hash:
                    raise BrokenChain(f"row {row.id} is not the one that was there before")
            walk.check_beginning()
            head = walk.check_end(head)
            if known is not None and known.count > head.count:
                raise BrokenChain(f"the rows after row {head.count} are missing: there were more")
        except BrokenChain as fault:
            return Verdict(walk.rows, head or Head(0, GENESIS), str(fault))
    return Verdict(walk.rows, head, None)


async def _rows(connection: AsyncConnection) -> AsyncIterator[Row]:
    """All rows, oldest first, in pages; one by one where a page has one that cannot be read.

    Raises:
        BrokenChain: such a row has come.
    """
    last, limit = -1, PAGE
    while True:
        page = select(audit_log).where(audit_log.c.id > last).order_by(audit_log.c.id).limit(limit)
        try:
            found = (await connection.execute(page)).all()
        except (TypeError, ValueError) as exc:
            # SQLite keeps a number and any word for a moment.
            if limit == 1:
                number = await connection.scalar(page.with_only_columns(audit_log.c.id))
                raise BrokenChain(f"row {number} was changed") from exc
            limit = 1
            continue
        for row in found:
            yield row_from(row)
        if len(found) < limit:
            return
        last = found[-1].id
