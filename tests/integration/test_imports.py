"""Files into both databases: the tree as it was, once, also when many import at once."""

import asyncio
import json
import random
import zipfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.exports import (
    CURSOR,
    chatgpt_conversation,
    own_conversation,
    own_json,
    own_jsonl,
    own_message,
    webui_export,
)
from tests.integration.stored import ALICE_ONLY, BOB_ONLY, ELSEWHERE, HERE, NOW, find, say, start

from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.exports import Order, open_export
from officeai_proxy.formats.reading.imported import Reading, UnknownFile
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.imports import MAX_ERRORS, NOBODY, Account, Importer
from officeai_proxy.model import Caller, JsonObject
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.rows import AnyRow
from officeai_proxy.storage.schema.migrations import check, prepare
from officeai_proxy.storage.tables import conversation_messages, conversations
from officeai_proxy.wire.messages import new_messages

_id = conversations.c.id
READING = Reading(now=NOW, item_bytes=10**7, total_bytes=10**8)


async def import_(
    database: Database, data: bytes, *, caller: Caller = HERE, user: str | None = None
) -> Account:
    """Import a file of *data*."""
    return await Importer(database, caller, user=user).run(BytesIO(data), READING)


async def export(
    database: Database, caller: Caller = HERE, kind: str = "json", inner: str = "json"
) -> bytes:
    """All conversations of *caller*, those in the bin as well, as a file of ours."""
    order = Order(
        format=kind,
        options=Options(exported_at=NOW, inner=inner if kind == "zip" else None),
        conversations=ConversationFilter(deleted=Deleted.WITH),
    )
    async with open_export(database, caller, order) as opened:
        return b"".join([piece async for piece in opened.pieces()])


async def rows(database: Database) -> tuple[Sequence[AnyRow], Sequence[AnyRow]]:
    """Everything that is stored of conversations and messages."""
    async with database.read() as connection:
        heads = await connection.execute(select(conversations).order_by(conversations.c.id))
        messages = await connection.execute(
            select(conversation_messages).order_by(conversation_messages.c.id)
        )
        return heads.all(), messages.all()


def counts(account: Account) -> tuple[int, int, int, int]:
    """Imported, skipped, failed, messages."""
    return (account.imported, account.skipped, account.failed, account.messages)


def longer(conversation: dict[str, Any], *said: str) -> dict[str, Any]:
    """*conversation* with more at the end of its path."""
    messages = list(conversation["messages"])
    leaf = conversation["leaf"]
    for words in said:
        messages.append(own_message(len(messages) + 1, leaf, "user", words))
        leaf = len(messages)
    return {**conversation, "messages": messages, "leaf": leaf}


async def test_nothing_known_changes_nothing(database: Database) -> None:
    """A file that is none of ours is refused and leaves nothing behind."""
    with pytest.raises(UnknownFile):
        await import_(database, b'[{"a": 1}]')

    assert await rows(database) == ([], [])


@pytest.mark.parametrize("kind", ["json", "jsonl"])
async def test_out_and_in_and_out_gives_the_same_bytes(database: Database, kind: str) -> None:
    """What was imported is exported byte for byte, in another workspace as well."""
    binned = own_conversation("s2", deleted_at="2026-02-01T00:00:00Z")
    empty = own_conversation("s3", messages=[], leaf=None, title=None, metadata={})
    await import_(database, own_json(own_conversation(), binned, empty))
    first = await export(database, kind=kind)

    account = await import_(database, first, caller=ELSEWHERE)

    assert counts(account) == (3, 0, 0, 12)
    assert await export(database, ELSEWHERE, kind) == first
    assert json.loads(await export(database))["conversations"] == [
        own_conversation(),
        binned,
        empty,
    ]
    assert await check(database) == []


async def test_odd_roles_come_back_and_do_not_come_in(database: Database) -> None:
    """What a recorded chat had for a role is exported and imported; of others it is refused."""
    said: list[JsonObject] = [
        {"role": role, "content": role} for role in ("banana", "", "a role without an end")
    ]
    recorded = new_messages([*said, {"content": "nobody"}], timestamp=NOW, model_name=None)
    await say(database, await start(database, "odd"), *recorded)
    first = await export(database)

    account = await import_(database, first, caller=ELSEWHERE)
    assert counts(account) == (1, 0, 0, 4)
    assert await export(database, ELSEWHERE) == first

    theirs = json.dumps({"session_id": "theirs", "messages": said[:1]}).encode()
    account = await import_(database, theirs)
    assert counts(account) == (0, 0, 1, 0)
    assert "message 1: `role` must be one of system, developer, " in account.errors[0].reason


async def test_the_order_of_the_file_is_kept(database: Database) -> None:
    """Whatever the sessions are called, an export of what was imported is the same file."""
    names = ["s3", "s1", "z", "s2", "a"]
    await import_(database, own_json(*(own_conversation(name) for name in names)))
    first = await export(database)

    assert [one["session_id"] for one in json.loads(first)["conversations"]] == names
    await import_(database, first, caller=ELSEWHERE)
    assert await export(database, ELSEWHERE) == first


async def test_again_changes_nothing(database: Database) -> None:
    """Importing the same file again leaves every row as it is."""
    data = own_json(own_conversation(), own_conversation("s2", deleted_at="2026-02-01T00:00:00Z"))
    await import_(database, data)
    before = await rows(database)

    account = await import_(database, data)

    assert counts(account) == (0, 2, 0, 0)
    assert await rows(database) == before


async def test_a_longer_export_adds_the_rest(database: Database) -> None:
    """What is there keeps its id; the new messages follow it, and the path with them."""
    await import_(database, own_json(own_conversation()))
    before = (await rows(database))[1]
    later = longer(own_conversation(), "And then?", "And now?")
    later["updated_at"] = "2026-03-01T00:00:00Z"

    account = await import_(database, own_json({**later, "title": "Other"}))

    assert counts(account) == (1, 0, 0, 2)
    assert (await rows(database))[1][:6] == before
    [stored] = json.loads(await export(database))["conversations"]
    assert stored == {**later, "title": "导出"}
    assert await check(database) == []


async def test_a_shorter_export_changes_nothing(database: Database) -> None:
    """An export of before neither shortens the path nor takes anything away."""
    await import_(database, own_json(longer(own_conversation(), "more")))
    before = await rows(database)

    assert counts(await import_(database, own_json(own_conversation()))) == (0, 1, 0, 0)
    assert await rows(database) == before


async def test_a_branch_beside_the_path_leaves_the_path(database: Database) -> None:
    """A branch is added, and the path stays where it goes further than that of the file."""
    await import_(database, own_json(longer(own_conversation(), "more")))
    branched = own_conversation()
    branched["messages"].append(own_message(7, 1, "user", "A third way?"))

    account = await import_(database, own_json(branched))

    assert counts(account) == (1, 0, 0, 1)
    [stored] = json.loads(await export(database))["conversations"]
    assert stored["messages"][stored["leaf"] - 1]["content"] == "more"
    assert stored["messages"][-1]["content"] == "A third way?"
    assert await check(database) == []


async def test_the_path_follows_a_new_branch(database: Database) -> None:
    """A file whose path goes another way moves the path there; nothing is lost."""
    await import_(database, own_json(longer(own_conversation(), "more")))
    other = longer({**own_conversation(), "leaf": 3}, "Another way")

    await import_(database, own_json(other))

    [stored] = json.loads(await export(database))["conversations"]
    assert [message["content"] for message in stored["messages"]][-2:] == ["more", "Another way"]
    assert stored["leaf"] == 8
    assert stored["messages"][7]["parent_id"] == 3
    assert await check(database) == []


async def test_what_is_recorded_goes_on_from_it(database: Database) -> None:
    """A stored conversation is continued where the file has more, and keeps its title."""
    conversation = await start(database, title="Ours")
    await say(database, conversation, "hi", "there")
    more = own_conversation(
        messages=[
            own_message(1, None, "user", "hi"),
            own_message(2, 1, "user", "there"),
            own_message(3, 2, "assistant", "hello"),
        ],
        leaf=3,
    )

    account = await import_(database, own_json(more))

    assert counts(account) == (1, 0, 0, 1)
    stored = await find(database)
    assert (stored.id, stored.title, stored.message_count) == (conversation.id, "Ours", 3)
    assert stored.updated_at == NOW
    assert await check(database) == []


async def test_the_bin_is_imported_into_the_bin(database: Database) -> None:
    """Several of one session in the bin stay several; one that was brought back is not doubled."""
    first = own_conversation("s1", deleted_at="2026-02-01T00:00:00Z")
    second = {**first, "created_at": "2026-01-30T00:00:00Z"}
    live = own_conversation("s1")
    data = own_jsonl(first, second, live)

    assert counts(await import_(database, data)) == (3, 0, 0, 18)
    assert counts(await import_(database, data)) == (0, 3, 0, 0)
    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        await repository.bin(await repository.find("s1"), now=NOW)
    assert counts(await import_(database, own_jsonl(first, second))) == (0, 2, 0, 0)
    assert await check(database) == []


async def test_twins_in_the_bin_stay_apart(database: Database) -> None:
    """What was imported, binned and imported again began twice at one moment: its own export
    changes none of them, whatever was said to one of them meanwhile.
    """
    files = own_jsonl(own_conversation()), own_jsonl(longer(own_conversation(), "More?"))
    for at, data in enumerate(files):
        await import_(database, data)
        async with database.write() as connection:
            repository = ConversationRepository(connection, HERE)
            await repository.bin(await repository.find("s1"), now=NOW + timedelta(hours=at))
    await import_(database, files[0])
    before = await rows(database)

    assert counts(await import_(database, await export(database))) == (0, 3, 0, 0)
    assert await rows(database) == before


async def test_others_formats(database: Database) -> None:
    """ChatGPT, Open WebUI and Markdown come in once, as trees, under the user who is named."""
    for data, messages in (
        (json.dumps([chatgpt_conversation()]).encode(), 4),
        (json.dumps([webui_export()]).encode(), 3),
        (CURSOR.encode(), 4),
    ):
        assert counts(await import_(database, data, user="ann")) == (1, 0, 0, messages)
        assert counts(await import_(database, data, user="ann")) == (0, 1, 0, 0)

    heads, _ = await rows(database)
    assert {row.user_identifier for row in heads} == {"ann"}
    assert [row.path_count for row in heads] == [3, 2, 4]
    assert await check(database) == []


@pytest.mark.parametrize(
    ("data", "user", "caller", "expected"),
    [
        (own_json(own_conversation()), "ann", HERE, "alice"),
        (own_json(own_conversation(user_identifier=None)), "ann", HERE, "ann"),
        (own_json(own_conversation(user_identifier=None)), None, HERE, NOBODY),
        (own_json(own_conversation(user_identifier=None)), None, BOB_ONLY, "bob"),
        (own_json(own_conversation()), None, ALICE_ONLY, "alice"),
        (json.dumps([webui_export()]).encode(), None, HERE, "u-1"),
        (json.dumps([webui_export()]).encode(), "ann", HERE, "ann"),
        (json.dumps([webui_export()]).encode(), None, BOB_ONLY, "bob"),
        (CURSOR.encode(), None, HERE, NOBODY),
    ],
)
async def test_whose_it_is(
    database: Database, data: bytes, user: str | None, caller: Caller, expected: str
) -> None:
    """Our own file names its users; for others it is the one asked for, the key's, or nobody's."""
    await import_(database, data, user=user, caller=caller)

    [head], _ = await rows(database)
    assert (head.workspace, head.user_identifier) == ("default", expected)


async def test_a_bound_key_imports_its_own_only(database: Database) -> None:
    """Conversations of other users fail one by one; those of the key's user come in."""
    data = own_json(own_conversation("s1"), own_conversation("s2", user_identifier="bob"))

    account = await import_(database, data, caller=BOB_ONLY)

    assert counts(account) == (1, 0, 1, 6)
    assert [(e.item, "bound to one user" in e.reason) for e in account.errors] == [(1, True)]
    [head], _ = await rows(database)
    assert head.session_id == "s2"


async def test_nothing_in_a_file_decides_its_workspace(database: Database) -> None:
    """A file that names a workspace, or ids of rows, lands where its importer is, beside others."""
    await import_(database, own_json(own_conversation()), caller=ELSEWHERE)
    before = await rows(database)
    hostile = own_conversation(workspace="other", id=1, conversation_id=1)

    await import_(database, own_json(hostile))

    heads, messages = await rows(database)
    assert [row.workspace for row in heads] == ["other", "default"]
    assert (heads[:1], messages[:6]) == before


async def test_one_bad_conversation_fails_alone(database: Database) -> None:
    """Each failure has its place in the file and its reason; all others are there."""
    data = own_jsonl(
        own_conversation("s1"),
        own_conversation("a/b"),
        own_conversation("s3", created_at="never"),
        own_conversation("s\0"),
        own_conversation("s5", user_identifier="x" * 300),
        own_conversation("s6"),
    )

    account = await import_(database, data + b"{broken\n")

    assert counts(account) == (2, 0, 5, 12)
    assert [error.item for error in account.errors] == [2, 3, 4, 5, 7]
    assert "holds a `/`" in account.errors[0].reason


async def test_one_that_the_database_refuses_fails_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When several are stored together and one of them cannot be, the others are stored."""
    monkeypatch.setattr("officeai_proxy.formats.reading.fields.MAX_INTEGER", 2**70)
    bad = own_conversation("bad")
    bad["messages"] = [own_message(1, None, "user", "x", token_count=2**65)]
    bad["leaf"] = 1

    account = await import_(
        database, own_jsonl(own_conversation("s1"), bad, own_conversation("s3"))
    )

    assert counts(account)[2:] == (1, 12)
    assert [(error.item, "database" in error.reason) for error in account.errors] == [(2, True)]
    heads, _ = await rows(database)
    assert [row.session_id for row in heads] == ["s1", "s3"]


async def test_reasons_are_bounded(database: Database) -> None:
    """Of many failures a hundred are told, and each in a few words."""
    bad = [own_conversation(f"{'x' * 300}{number}") for number in range(MAX_ERRORS + 5)]

    account = await import_(database, own_jsonl(*bad))

    assert account.failed == MAX_ERRORS + 5
    assert len(account.errors) == MAX_ERRORS


async def test_one_session_twice_in_a_file_is_one(database: Database) -> None:
    """The second part of a conversation is added to what the first has brought."""
    data = own_jsonl(own_conversation(), longer(own_conversation(), "more"), own_conversation())

    assert counts(await import_(database, data)) == (2, 1, 0, 7)
    assert await check(database) == []


async def test_two_at_once_are_one(database: Database) -> None:
    """Whoever imports the same at the same time: everything is there once."""
    chance = random.Random(7)
    items = [own_conversation(f"s{number}") for number in range(30)]
    items += [own_conversation("bin", deleted_at="2026-02-01T00:00:00Z")]
    files = []
    for _ in range(4):
        chance.shuffle(items)
        files.append(own_jsonl(*items))

    accounts = await asyncio.gather(*[import_(database, data) for data in files])

    assert sum(account.imported for account in accounts) == 31
    assert sum(account.messages for account in accounts) == 31 * 6
    assert all(account.failed == 0 for account in accounts)
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(conversations)) == 31
    assert await check(database) == []


@pytest.mark.parametrize("what", ["an import", "clearing"])
async def test_conversations_are_locked_in_one_order(database: Database, what: str) -> None:
    """Whatever the order of the file or the table: no two wait for each other."""
    if database.dialect is Dialect.SQLITE:
        pytest.skip("SQLite has one writer")
    first, second = (
        own_conversation(name, deleted_at="2026-02-01T00:00:00Z" if what == "an import" else None)
        for name in ("s2", "s1")
    )
    await import_(database, own_jsonl(first, second))
    ids = [row.id for row in (await rows(database))[0]]
    async with database.write() as connection:
        # What is changed stands behind the others, in the table and in the indexes.
        newer = update(conversations).values(updated_at=NOW + timedelta(days=9))
        await connection.execute(newer.where(_id == ids[0]))

    async def clear() -> int:
        async with database.write() as connection:
            return await ConversationRepository(connection, HERE).clear("alice", now=NOW)

    async with database.write() as connection:
        await connection.execute(select(_id).where(_id == ids[0]).with_for_update())
        work = import_(database, own_jsonl(second, first)) if what == "an import" else clear()
        other = asyncio.create_task(work)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(30):
            while not await connection.scalar(waiting):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert await connection.scalar(
            select(_id).where(_id == ids[1]).with_for_update(skip_locked=True)
        )

    assert await other in (2, Account(skipped=2))


async def test_a_large_conversation(database: Database) -> None:
    """Thousands of messages are compared in parts, added to, and branched."""
    messages = [own_message(1, None, "user", "start")]
    messages += [own_message(n, n - 1, "user", f"m{n}") for n in range(2, 12_001)]
    large = own_conversation(messages=messages, leaf=12_000)

    assert counts(await import_(database, own_json(large))) == (1, 0, 0, 12_000)
    assert counts(await import_(database, own_json(large))) == (0, 1, 0, 0)
    branched = longer({**large, "leaf": 9000}, "branch")
    assert counts(await import_(database, own_json(branched))) == (1, 0, 0, 1)
    [head], _ = await rows(database)
    assert (head.message_count, head.path_count) == (12_001, 9001)
    assert await check(database) == []


async def test_large_conversations_are_not_held_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many large ones a file has, few of them are in memory at once."""
    monkeypatch.setattr("officeai_proxy.imports.READ_BYTES", 8000)
    filler = "." * 5000
    said = own_conversation("s1", messages=[own_message(1, None, "user", filler)], leaf=1)
    noted = own_conversation("s2", metadata={"note": filler})
    told: list[int] = []

    def note(account: Account) -> None:
        told.append(account.imported)

    importer = Importer(database, HERE, user=None)
    await importer.run(BytesIO(own_jsonl(said, noted, own_conversation("s3"))), READING, told=note)

    assert told == [2, 3]


async def test_large_messages_are_not_stored_in_one_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the messages of a conversation are, few of them are in one statement."""
    monkeypatch.setattr("officeai_proxy.storage.transfer.imports.BATCH_TEXT", 8000)
    filler = "." * 3000
    messages = [own_message(n, n - 1 or None, "user", filler) for n in range(1, 6)]
    rows_at_once: list[int] = []

    def note(
        _c: object, _cursor: object, statement: str, given: Sequence[object], *_: object
    ) -> None:
        if "INTO conversation_messages" in statement:
            rows_at_once.append(len(given))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        large = own_conversation("large", messages=messages, leaf=5)
        account = await import_(database, own_json(large))
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert counts(account) == (1, 0, 0, 5)
    assert rows_at_once == [3, 2]


async def test_titles_and_times_follow_when_they_are_not_told(database: Database) -> None:
    """Bare messages get a title from what was said, and the time of the import."""
    line = {"messages": [{"role": "user", "content": "What is\na decorator?"}]}

    await import_(database, json.dumps(line).encode())

    [head], [message] = await rows(database)
    assert head.title == "What is a decorator?"
    assert head.created_at == head.updated_at == message.timestamp == NOW


async def test_an_archive(database: Database) -> None:
    """Our own ZIP comes in, and its manifest is passed over."""
    await import_(database, own_json(own_conversation("s1"), own_conversation("s2")))
    data = await export(database, kind="zip")
    assert "manifest.json" in zipfile.ZipFile(BytesIO(data)).namelist()

    await import_(database, data, caller=ELSEWHERE)

    heads, _ = await rows(database)
    assert len(heads) == 4
    assert heads[0].created_at == datetime(2026, 1, 31, 11, 59, 59, 500_000, UTC)


async def test_an_archive_to_read_changes_nothing_where_it_came_from(database: Database) -> None:
    """Markdown has lost the branches: it is left out where the conversation is, however it grew."""
    await import_(database, own_json(own_conversation("s1"), own_conversation("s2")))
    data = await export(database, kind="zip", inner="md")
    await say(database, await find(database, "s1"), "and it went on")
    before = await rows(database)

    account = await import_(database, data)

    assert counts(account) == (0, 2, 0, 0)
    assert await rows(database) == before


async def test_an_archive_to_read_comes_back_under_its_names(database: Database) -> None:
    """Where it is not there yet, with its title; a second time changes nothing."""
    title = "*标题* [1] <b> a_b & `c` \\ | #"
    conversations_ = [
        own_conversation("s1", title=title),
        own_conversation("s1", user_identifier="bob"),
    ]
    await import_(database, own_json(*conversations_))
    data = await export(database, kind="zip", inner="md")

    first = await import_(database, data, caller=ELSEWHERE, user="nobody")
    stored = await rows(database)
    second = await import_(database, data, caller=ELSEWHERE, user="nobody")

    heads = [head for head in stored[0] if head.workspace == ELSEWHERE.workspace]
    named = [(head.session_id, head.user_identifier, head.title) for head in heads]
    assert named == [("s1", "alice", title), ("s1", "bob", "导出")]
    assert (first.imported, first.failed) == (2, 0)
    assert counts(second) == (0, 2, 0, 0)
    assert await rows(database) == stored


async def test_an_archive_to_read_of_others_is_refused(database: Database) -> None:
    """A key that is bound to a user imports that user's only, whatever the manifest says."""
    await import_(database, own_json(own_conversation("s1"), own_conversation("s2")))
    data = await export(database, kind="zip", inner="md")

    account = await import_(database, data, caller=BOB_ONLY)

    assert counts(account) == (0, 0, 2, 0)


class AwayAtFirst(Database):
    """A database that is away for the first writes."""

    refusals = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Be away, then write."""
        if self.refusals > 0:
            self.refusals -= 1
            raise DatabaseUnavailable
        async with super().write() as connection:
            yield connection


@pytest.mark.parametrize(("refusals", "arrives"), [(2, True), (1000, False)])
async def test_a_database_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, arrives: bool
) -> None:
    """A moment without the database costs nothing; when it stays away the import says so."""
    monkeypatch.setattr("officeai_proxy.imports._WAIT_SECONDS", 0.001)
    away = AwayAtFirst(f"sqlite:///{tmp_path / 'officeai.db'}")
    try:
        await prepare(away)
        away.refusals = refusals
        if arrives:
            assert counts(await import_(away, own_json(own_conversation()))) == (1, 0, 0, 6)
        else:
            with pytest.raises(DatabaseUnavailable):
                await import_(away, own_json(own_conversation()))
    finally:
        await away.close()
