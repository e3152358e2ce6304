"""The audit log on both databases: every way to falsify it shows, and nobody can fork it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.integration.stored import ALICE_ONLY, ELSEWHERE, HERE, MINUTE, NOW

from officeai_proxy.audit import AuditLog
from officeai_proxy.errors import DatabaseUnavailable, Unavailable, UnprocessableInput
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Event, Row
from officeai_proxy.storage.audit.log import (
    AuditFilter,
    AuditRepository,
    Head,
    anonymise,
    append,
    cut_off,
    detail_of,
)
from officeai_proxy.storage.audit.verification import Verdict, verify
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.paging import Page, PageRequest

ROOT = Path(__file__).resolve().parents[2]
ALL = PageRequest(limit=1000)

WRITE = """
import asyncio, sys
from datetime import UTC, datetime
from officeai_proxy.audit import AuditLog
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.database import Database

async def main(url, count):
    database = Database(url)
    log = AuditLog(database, lambda: datetime.now(UTC))
    trail = log.trail(Action.READ_USER, Caller(sys.argv[3]))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count // 5):
        await asyncio.gather(*(trail.leave(user="alice", target="alice") for _ in range(5)))
    await database.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def an_event(number: int, *, user: str | None = "alice", **more: object) -> Event:
    given = {
        "at": NOW + number * MINUTE,
        "actor": "key-1",
        "action": Action.READ_CONVERSATION,
        "workspace": "default",
        "user": user,
        "target": f"s{number}",
        "client_ip": "192.0.2.7",
    }
    return Event(**{**given, **more})  # type: ignore[arg-type]


async def add(database: Database, *events: Event) -> None:
    async with database.write() as connection:
        await append(connection, *events)


async def five_rows(database: Database) -> None:
    await add(database, *(an_event(number) for number in range(1, 4)))
    await add(database, an_event(4, user="bob"), an_event(5))


async def change(database: Database, *statements: str) -> None:
    async with database.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def rows(
    database: Database,
    wanted: AuditFilter = AuditFilter(),
    *,
    caller: Caller = HERE,
    page: PageRequest = ALL,
) -> Page[Row]:
    async with database.read() as connection:
        return await AuditRepository(connection, caller).page(wanted, page)


def targets(found: Page[Row]) -> Sequence[str | None]:
    return [row.target for row in found.items]


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE audit_log SET actor = 'key-9' WHERE id = 2"], "row 2 was changed"),
        (["UPDATE audit_log SET at = '2026-11-20 09:02:01+00:00' WHERE id = 2"], "row 2 was ch"),
        (["UPDATE audit_log SET user_identifier = 'eve' WHERE id = 2"], "row 2 names somebody"),
        (["UPDATE audit_log SET target = NULL WHERE id = 2"], "row 2 names somebody"),
        (["UPDATE audit_log SET is_sealed = true WHERE id = 2"], "row 2 was changed"),
        (["DELETE FROM audit_log WHERE id = 3"], "row 3 is missing"),
        (["DELETE FROM audit_log WHERE id = 1"], "rows before row 2 are missing"),
        (["DELETE FROM audit_log WHERE id > 3"], "rows after row 3 are missing, up to row 5"),
        (["DELETE FROM audit_log"], "rows after row 0 are missing"),
        (["DELETE FROM audit_head"], "head is missing"),
        (["UPDATE audit_head SET count = 4"], "row 5 was put in behind the end"),
        (
            [
                "UPDATE audit_log SET id = 99 WHERE id = 2",
                "UPDATE audit_log SET id = 2 WHERE id = 3",
                "UPDATE audit_log SET id = 3 WHERE id = 99",
            ],
            "row 2 does not follow",
        ),
        (
            [
                "INSERT INTO audit_log SELECT 6, at, workspace, actor, action, user_identifier, "
                "target_kind, target, detail, client_ip, is_sealed, names_salt, names_digest, "
                "previous, hash FROM audit_log WHERE id = 5"
            ],
            "row 6 does not follow",
        ),
        (
            [
                "UPDATE audit_log SET user_identifier = NULL, target = NULL, names_salt = NULL "
                "WHERE id = 2"
            ],
            "rows without names: 1, told by erasures: 0",
        ),
    ],
)
async def test_whatever_is_falsified_shows(
    database: Database, statements: list[str], fault: str
) -> None:
    """Edited, deleted, moved, put in, cut off, made nameless: it is said where it begins."""
    await five_rows(database)
    assert (await verify(database)).fault is None

    await change(database, *statements)

    assert fault in ((await verify(database)).fault or "")


async def test_what_is_no_value_of_its_column_shows(database: Database) -> None:
    """SQLite keeps a word for a moment, and text for bytes: the row is named, nothing breaks."""
    if database.dialect is not Dialect.SQLITE:
        pytest.skip("PostgreSQL refuses such values")
    await five_rows(database)

    # From the newest row to older ones, because the first fault is told.
    falsified = {
        5: "names_salt = 'no'",
        4: "names_digest = 'no'",
        3: "at = 'no'",
        2: "at = 1",
        1: "detail = X'00'",
    }
    for number, value in falsified.items():
        await change(database, f"UPDATE audit_log SET {value} WHERE id = {number}")
        assert (await verify(database)).fault == f"row {number} was changed"


async def test_a_cut_that_the_head_was_set_back_for_shows_by_an_earlier_head(
    database: Database,
) -> None:
    """The database alone cannot tell; an end that was kept elsewhere can."""
    await five_rows(database)
    known = (await verify(database)).head
    async with database.read() as connection:
        earlier = (await connection.execute(text("SELECT hash FROM audit_log WHERE id = 3"))).one()
    await change(database, "DELETE FROM audit_log WHERE id > 3")
    async with database.write() as connection:
        await connection.execute(
            text("UPDATE audit_head SET count = 3, hash = :hash"), {"hash": earlier[0]}
        )

    assert (await verify(database)).fault is None
    assert "there were more" in ((await verify(database, known=known)).fault or "")
    await add(database, an_event(4, user="carol"), an_event(5))
    assert "not the one that was there" in ((await verify(database, known=known)).fault or "")


async def test_a_log_without_its_end_takes_nothing(database: Database) -> None:
    """What cannot be written down is not done: the error says where to look."""
    await change(database, "DELETE FROM audit_head")

    with pytest.raises(Unavailable, match="audit verify"):
        await add(database, an_event(1))


async def test_a_transaction_that_fails_leaves_no_row(database: Database) -> None:
    """A row stands for a change that was made, and goes with one that was not."""

    async def fail() -> None:
        async with database.write() as connection:
            await append(connection, an_event(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await verify(database) == Verdict(0, Head(0, bytes(32)), None)


async def test_walls(database: Database) -> None:
    """Nothing of another workspace, of the whole database, or of another user than the key's."""
    await five_rows(database)
    await add(database, an_event(6, workspace="other"), an_event(7, workspace=None))

    assert targets(await rows(database, caller=ELSEWHERE)) == ["s6"]
    assert targets(await rows(database)) == ["s5", "s4", "s3", "s2", "s1"]
    assert targets(await rows(database, caller=ALICE_ONLY)) == ["s5", "s3", "s2", "s1"]
    assert (await rows(database, caller=ALICE_ONLY)).total == 4


async def test_filters_and_pages(database: Database) -> None:
    """Each filter narrows the list down; pages of any size give every row once."""
    await five_rows(database)
    await add(database, an_event(6, actor="key-2", action=Action.SEARCH))

    assert targets(await rows(database, AuditFilter(actor="key-2"))) == ["s6"]
    assert targets(await rows(database, AuditFilter(action="message.search"))) == ["s6"]
    assert targets(await rows(database, AuditFilter(user="bob"))) == ["s4"]
    between = AuditFilter(after=NOW + 2 * MINUTE, before=NOW + 4 * MINUTE)
    assert targets(await rows(database, between)) == ["s3", "s2"]
    seen: list[str | None] = []
    cursor = None
    while True:
        page = await rows(database, page=PageRequest(limit=2, cursor=cursor))
        seen += targets(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == ["s6", "s5", "s4", "s3", "s2", "s1"]
    with pytest.raises(UnprocessableInput):
        await rows(database, page=PageRequest(limit=2, cursor="WyJjYWxscyJd"))


async def test_an_erased_person_is_proved_and_not_named(database: Database) -> None:
    """Their rows stay without the name; one row proves the erasure to who knows the name."""
    await five_rows(database)
    async with database.write() as connection:
        count = await anonymise(connection, workspace="default", user="alice")
        detail = {"stage": "ended", "anonymised": count}
        sealed = an_event(
            6, action=Action.ERASE_USER, target="alice", is_sealed=True, detail=detail
        )
        await append(connection, sealed)

    found = (await rows(database)).items
    assert count == 4
    assert {row.user_identifier for row in found} == {"bob", None}
    assert (await verify(database)).fault is None
    [proof] = (await rows(database, AuditFilter(user="alice"))).items
    assert (proof.action, detail_of(proof)) == ("user.erase", detail)
    assert (await rows(database, AuditFilter(user="carol"))).items == []


async def test_pruned_rows_leave_a_chain_that_holds(database: Database) -> None:
    """The oldest rows go, whatever is in them; the rest is proved from there on, and no more."""
    await test_an_erased_person_is_proved_and_not_named(database)
    for limit, before in ((2, NOW + timedelta(days=1)), (1000, NOW + 4 * MINUTE)):
        async with database.write() as connection:
            cut = await cut_off(connection, before=before, limit=limit)
            await append(
                connection,
                an_event(9, user=None, target=None, action=Action.PRUNE_AUDIT, detail=cut),
            )
        assert (await verify(database)).fault is None

    assert [row.id for row in (await rows(database)).items] == [8, 7, 6, 5, 4]
    async with database.write() as connection:
        assert await cut_off(connection, before=NOW, limit=10) == {}
    await change(database, "DELETE FROM audit_log WHERE id = 4")
    assert "before row 5 are missing" in ((await verify(database)).fault or "")


async def test_the_chain_walks_in_pages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is longer than a page is walked to its end."""
    monkeypatch.setattr("officeai_proxy.storage.audit.verification.PAGE", 2)
    await five_rows(database)

    assert (await verify(database)).rows == 5
    await change(database, "UPDATE audit_log SET actor = 'x' WHERE id = 5")
    assert (await verify(database)).fault == "row 5 was changed"


async def test_reads_that_come_together_share_a_transaction(database: Database) -> None:
    """A hundred rows at once are a few commits, all of them whole and in one chain."""
    log = AuditLog(database, lambda: NOW)
    trail = log.trail(Action.LIST_USERS, HERE, client_ip="192.0.2.7")
    commits = 0
    write = database.write

    def counted():  # type: ignore[no-untyped-def]
        nonlocal commits
        commits += 1
        return write()

    database.write = counted  # type: ignore[method-assign]
    await asyncio.gather(*(trail.leave(target=str(number)) for number in range(100)))

    assert commits <= 3
    verdict = await verify(database)
    assert (verdict.rows, verdict.fault) == (100, None)
    assert {row.target for row in (await rows(database)).items} == set(map(str, range(100)))


async def test_all_who_wait_hear_of_a_failure(database: Database) -> None:
    """A database that cannot take the batch refuses each read of it at once; the next works."""
    log = AuditLog(database, lambda: NOW)
    trail = log.trail(Action.LIST_USERS, HERE)
    write, tries = database.write, 0

    @asynccontextmanager
    async def broken() -> AsyncIterator[AsyncConnection]:
        nonlocal tries
        tries += 1
        async with write() as connection:
            yield connection
            raise DatabaseUnavailable

    database.write = broken  # type: ignore[method-assign]
    results = await asyncio.gather(*(trail.leave() for _ in range(20)), return_exceptions=True)
    database.write = write  # type: ignore[method-assign]
    await trail.leave()

    assert [type(result) for result in results] == [DatabaseUnavailable] * 20
    assert tries <= 2
    assert (await verify(database)).rows == 1


async def test_who_leaves_does_not_take_others_along(database: Database) -> None:
    """A reader that is cancelled while it stores for all leaves the others to be stored."""
    log = AuditLog(database, lambda: NOW)
    trail = log.trail(Action.LIST_USERS, HERE)
    entered = asyncio.Event()
    write = database.write

    def slow():  # type: ignore[no-untyped-def]
        entered.set()
        return write()

    database.write = slow  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(trail.leave(target="first"))
        others = [tasks.create_task(trail.leave(target=str(n))) for n in range(5)]
        await entered.wait()
        first.cancel()
    assert all(task.done() for task in others)

    names = {row.target for row in (await rows(database)).items}
    assert {"0", "1", "2", "3", "4"} <= names
    assert (await verify(database)).fault is None


async def test_two_processes_do_not_fork_the_chain(database: Database, database_of: str) -> None:
    """Two programs that write at once wait for one another, row by row; also one that is killed."""
    writers = [a_writer(database_of, count=50, name=name) for name in ("one", "two")]
    doomed = a_writer(database_of, count=100_000, name="doomed")
    await asyncio.to_thread(start, [*writers, doomed])
    for writer in writers:
        _, complaints = await asyncio.to_thread(writer.communicate, None, 60)
        assert writer.returncode == 0, complaints
    doomed.kill()
    await asyncio.to_thread(doomed.communicate)

    verdict = await verify(database)
    assert verdict.fault is None
    for name in ("one", "two"):
        assert (await rows(database, AuditFilter(actor=name))).total == 50


def a_writer(url: str, *, count: int, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, url, str(count), name],
        env={"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(writers: "list[subprocess.Popen[str]]") -> None:
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()


@pytest.fixture
def database_of(prepared_url: str) -> str:
    """The URL of `database`."""
    return prepared_url
