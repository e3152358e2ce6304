"""Exports over HTTP: who may, what comes, under which name, and what a failure looks like."""

import asyncio
import csv
import io
import json
import socket
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.api import ALICE, KEY, OTHER_TEAM, READER, Api
from tests.integration.stored import HERE, find, say, start
from tests.timing import until

from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.transfer import snapshot

ENDS_OF_TIME = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
KEPT_ENDS = ["0001-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999998Z"]

EXPORTS = ("/conversations/s1/export", "/conversations/export-all", "/users/alice/export")


@pytest.fixture
async def _talk(api: Api) -> None:
    """A conversation of alice with two messages."""
    conversation = await start(api.services.database, title="标题")
    await say(api.services.database, conversation, "你好", "=1+1")


@pytest.mark.usefixtures("_talk")
class TestRefusals:
    """What is not answered with a file."""

    @pytest.mark.parametrize("path", EXPORTS)
    async def test_the_scope_is_export(self, api: Api, path: str):
        """Reading alone is not enough, and no key is 401."""
        async with api.client(READER) as reader, api.client(None) as nobody:
            refused, unknown = await reader.get(path), await nobody.get(path)

        assert (refused.status_code, unknown.status_code) == (403, 401)
        assert "export" in refused.json()["error"]["message"]

    @pytest.mark.parametrize("path", EXPORTS)
    async def test_an_unknown_format_is_422_with_the_known_ones(
        self, client: httpx.AsyncClient, path: str
    ):
        """For the format, and for the one inside a ZIP."""
        for name in ("format", "inner"):
            answer = await client.get(path, params={name: "zipx"})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (422, name)
            assert "jsonl" in error["message"]

    async def test_walls_hold(self, api: Api):
        """Another workspace finds nothing; a bound key finds its own user and no other."""
        await say(api.services.database, await start(api.services.database, "b", user="bob"), "x")
        async with api.client(OTHER_TEAM) as others, api.client(ALICE) as alice:
            empty = (await others.get("/conversations/export-all")).json()
            answers = [await others.get(path) for path in (EXPORTS[0], EXPORTS[2])]
            own = (await alice.get("/conversations/export-all")).json()
            foreign = [
                await alice.get("/conversations/b/export"),
                await alice.get("/users/bob/export"),
                await alice.get("/conversations/export-all", params={"user_identifier": "bob"}),
            ]

        assert empty["conversations"] == []
        assert [answer.status_code for answer in answers] == [404, 404]
        assert [one["session_id"] for one in own["conversations"]] == ["s1"]
        assert [answer.status_code for answer in foreign] == [404, 403, 403]

    async def test_two_users_with_one_session_are_409(self, api: Api, client: httpx.AsyncClient):
        """And `user_identifier` chooses."""
        await start(api.services.database, "s1", user="bob")

        answer = await client.get(EXPORTS[0])
        chosen = await client.get(EXPORTS[0], params={"user_identifier": "bob"})

        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ambiguous_session")
        assert chosen.json()["conversations"][0]["user_identifier"] == "bob"

    async def test_too_many_at_once_are_429(self, api: Api, client: httpx.AsyncClient):
        """With the time after which to try again; and a slot is free again afterwards."""
        with api.services.export_slots.one(), api.services.export_slots.one():
            refused = await client.get(EXPORTS[1])
        answered = await client.get(EXPORTS[1])

        assert (refused.status_code, answered.status_code) == (429, 200)
        assert refused.json()["error"]["code"] == "too_many_exports"
        assert int(refused.headers["retry-after"]) > 0
        assert api.services.export_slots.taken == 0

    async def test_what_cannot_be_noted_is_not_handed_over(
        self, api: Api, client: httpx.AsyncClient
    ):
        """A database that only reads, or is full, takes no row of the audit log; that is a 503."""
        async with api.services.database.write() as connection:
            await connection.execute(text("DELETE FROM audit_head"))

        answer = await client.get(EXPORTS[1])

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert api.services.export_slots.taken == 0


@pytest.mark.usefixtures("_talk")
class TestFiles:
    """What comes."""

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("path", EXPORTS)
    async def test_every_format_from_every_route(
        self, client: httpx.AsyncClient, path: str, name: str
    ):
        """As a download of its type, that no cache keeps and no browser guesses about."""
        answer = await client.get(path, params={"format": name})

        assert answer.status_code == 200
        assert answer.headers["content-type"] == FORMATS[name].media_type
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-length" not in answer.headers
        assert answer.content

    async def test_filters_are_those_of_the_list(self, api: Api, client: httpx.AsyncClient):
        """And the manifest of an archive repeats them."""
        await start(api.services.database, "s2", user="bob")
        wanted = {"user_identifier": "bob", "created_after": "2020-01-01", "deleted": "with"}

        answer = await client.get(EXPORTS[1], params={**wanted, "format": "zip", "inner": "json"})

        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            [file] = [name for name in archive.namelist() if name != "manifest.json"]
            assert json.loads(archive.read(file))["complete"] is True
        assert manifest["filters"] == {
            "user_identifier": "bob",
            "created_after": "2020-01-01T00:00:00+00:00",
            "deleted": "with",
        }
        assert manifest["conversations"] == 1

    async def test_csv_is_safe_unless_asked(self, client: httpx.AsyncClient):
        """`csv_safe=off` gives what was said as it was said."""
        for given, cell in (({}, "'=1+1"), ({"csv_safe": "off"}, "=1+1")):
            answer = await client.get(EXPORTS[0], params={"format": "csv", **given})
            rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
            assert [row["content"] for row in rows] == ["你好", cell]

    async def test_the_first_and_the_last_moment_are_told(
        self, api: Api, client: httpx.AsyncClient
    ):
        """A microsecond inside on both databases; and the file can be imported elsewhere."""
        said = [{"role": "user", "content": at, "timestamp": at} for at in ENDS_OF_TIME]
        await start(api.services.database, "s2", user="bob")
        posted = (await client.post("/conversations/s2/messages", json=said)).json()

        rows = await client.get("/conversations/s2/export", params={"format": "csv"})
        file = await client.get("/conversations/s2/export")
        async with api.client(OTHER_TEAM) as others:
            answers = [
                (await others.post("/conversations/import", content=file.content)).json()
                for _ in range(2)
            ]
            listed = (await others.get("/conversations/s2/messages")).json()["data"]

        table = csv.DictReader(io.StringIO(rows.content.decode("utf-8-sig")))
        [told] = file.json()["conversations"]
        for messages in (posted, table, told["messages"], listed):
            assert [message["timestamp"] for message in messages] == KEPT_ENDS
        assert [(answer["imported"], answer["skipped"]) for answer in answers] == [(1, 0), (0, 1)]

    @pytest.mark.parametrize("name", FORMATS)
    async def test_every_format_has_the_first_and_the_last_moment(
        self, api: Api, client: httpx.AsyncClient, name: str
    ):
        """None of them fails for a year that its own dates do not have."""
        said = [{"role": "user", "content": at, "timestamp": at} for at in ENDS_OF_TIME]
        await start(api.services.database, "s2", user="bob")
        await client.post("/conversations/s2/messages", json=said)

        answer = await client.get("/conversations/export-all", params={"format": name})

        assert answer.status_code == 200
        assert answer.content

    async def test_a_user_is_handed_over_with_the_bin(self, api: Api, client: httpx.AsyncClient):
        """All that is stored of somebody is theirs; of nobody there is nothing."""
        database = api.services.database
        binned = await start(database, "binned")
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).bin(binned, now=binned.created_at)

        file = (await client.get(EXPORTS[2])).json()
        nobody = await client.get("/users/nobody/export")

        assert [one["session_id"] for one in file["conversations"]] == ["s1", "binned"]
        assert "deleted_at" in file["conversations"][1]
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (404, "not_found")

    async def test_exports_wait_for_what_was_just_recorded(
        self, api: Api, client: httpx.AsyncClient
    ):
        """As every read does."""
        for path in EXPORTS:
            await client.get(path)

        assert api.services.freshness.waits == len(EXPORTS)


NAMES = {
    "会话 一": ("conversation", "%E4%BC%9A%E8%AF%9D%20%E4%B8%80"),
    "Café": ("Cafe", "Caf%C3%A9"),
    "../../etc/passwd": ("_.._etc_passwd", "_.._etc_passwd"),
    'a"; filename="evil.exe': ("a_; filename=_evil.exe", "a_%3B%20filename%3D_evil.exe"),
    "a\r\nSet-Cookie: x": ("a Set-Cookie_ x", "a%20Set-Cookie_%20x"),
    "evil\u202efdp.exe": ("evil fdp.exe", "evil%20fdp.exe"),
    "100%": ("100_", "100%25"),
    "x" * 10_000: ("x" * 60, "x" * 60),
}


@pytest.mark.parametrize(("title", "expected"), NAMES.items(), ids=range(len(NAMES)))
async def test_the_file_has_the_title_for_a_name(
    api: Api, client: httpx.AsyncClient, title: str, expected: tuple[str, str]
):
    """In one header that says nothing else, for old clients in ASCII."""
    await start(api.services.database, title=title)

    header = (await client.get(EXPORTS[0])).headers["content-disposition"]

    plain, encoded = expected
    assert header == (f"attachment; filename=\"{plain}.json\"; filename*=UTF-8''{encoded}.json")


class Download:
    """An export over a real socket, read as slowly as one likes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """Read the answer from *reader*, whose head was read."""
        self._reader = reader
        self.body = b""

    async def chunk(self) -> bytes:
        """The next chunk; empty at a proper end."""
        size = int(await self._reader.readuntil(b"\r\n"), 16)
        data = (await self._reader.readexactly(size + 2))[:-2]
        self.body += data
        return data

    async def rest(self) -> bytes:
        """All of it; an error when it breaks off."""
        while await self.chunk():
            pass
        return self.body


@asynccontextmanager
async def slow_client(url: str, path: str) -> AsyncIterator[Download]:
    """Ask for *path* and read no more than the head; small buffers make the server wait."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, ("127.0.0.1", int(url.rpartition(":")[2])))
        reader, writer = await asyncio.open_connection(sock=plain)
        head = f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in answer.partition(b"\r\n")[0]
        assert b"transfer-encoding: chunked" in answer
        yield Download(reader)
        writer.transport.abort()


PAGE, PAGES = 20, 22
"""How many messages are read at once, and how often that is for `many`."""


class ReadCount:
    """Counts the reads of a database, and fails them from a given one on."""

    def __init__(self, database: Database) -> None:
        """Let all of them through."""
        self._read = database.read
        self.reads = 0
        self.fails_from = 1_000_000

    def __call__(self) -> Any:
        """One more read."""
        self.reads += 1
        if self.reads >= self.fails_from:
            raise DatabaseUnavailable
        return self._read()


@pytest.fixture
async def count(api: Api, monkeypatch: pytest.MonkeyPatch) -> ReadCount:
    """The reads of the database."""
    database = api.services.database
    count = ReadCount(database)
    monkeypatch.setattr(database, "read", count)
    return count


@pytest.fixture
async def many(api: Api, count: ReadCount, monkeypatch: pytest.MonkeyPatch) -> ReadCount:
    """Twelve megabytes in two conversations, more than all buffers on the way hold."""
    database = api.services.database
    for session in ("s1", "s2"):
        conversation = await start(database, session)
        await say(database, conversation, *[f"{n} {'x' * 30_000}" for n in range(204)])
    monkeypatch.setattr(snapshot, "PAGE", PAGE)
    count.reads = 0
    return count


async def stalled(count: ReadCount) -> None:
    """Wait until the server reads no more."""
    before = -1
    while before != count.reads:
        before = count.reads
        await asyncio.sleep(0.3)


class TestSlowClients:
    """A client that stops reading holds its own connection, and nothing else."""

    async def test_nothing_runs_ahead_and_nothing_is_held(self, api: Api, many: ReadCount):
        """No transaction is open while it waits, and the state is that of the beginning."""
        database = api.services.database
        async with api.serving() as url, slow_client(url, EXPORTS[1]) as download:
            await stalled(many)
            # A server that is only slow would seem to have stopped in the middle of a read.
            async with asyncio.timeout(60):
                while not await self._holds_nothing(database):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.05)
            read_so_far = many.reads
            await say(database, await find(database, "s2"), "later")
            body = await download.rest()

        file = json.loads(body)
        assert read_so_far + 5 < many.reads
        assert file["counts"] == {"conversations": 2, "messages": 408}
        assert file["complete"] is True
        assert b"later" not in body

    async def _holds_nothing(self, database: Database) -> bool:
        if database.dialect is Dialect.SQLITE:
            checkpointer = Database(f"sqlite:///{database.path}", checkpoints=True)
            is_done = await checkpointer.checkpoint()
            await checkpointer.close()
            return is_done
        async with database.read() as connection:
            statement = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            )
            return bool(await connection.scalar(text(statement)) == 0)

    async def test_one_that_leaves_frees_its_slot(self, api: Api, many: ReadCount):
        """And nothing more is read for it."""
        slots = api.services.export_slots
        async with api.serving() as url:
            async with slow_client(url, EXPORTS[1]) as download:
                await download.chunk()
                assert slots.taken == 1
            await until(lambda: slots.taken == 0)

        assert many.reads < PAGES


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "html", "xlsx", "zip"])
class TestFailures:
    """A failing export never ends like a finished one."""

    async def test_an_outage_breaks_the_answer_off(self, api: Api, many: ReadCount, name: str):
        """The client sees an error, whichever client it is; the file is no whole one."""
        many.fails_from = 12
        path = f"{EXPORTS[1]}?format={name}"
        async with api.serving() as url:
            async with slow_client(url, path) as download:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await download.rest()
            await until(lambda: api.services.export_slots.taken == 0)
            many.fails_from, many.reads = 12, 0
            async with httpx.AsyncClient(timeout=60) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(f"{url}{path}", headers={"Authorization": f"Bearer {KEY}"})

        assert b'"complete"' not in download.body
        assert not zipfile.is_zipfile(io.BytesIO(download.body))

    async def test_what_fails_at_once_is_an_error_object(
        self, client: httpx.AsyncClient, count: ReadCount, name: str
    ):
        """Before the first byte there is a status for it."""
        count.fails_from = count.reads + 1

        answer = await client.get(EXPORTS[1], params={"format": name})

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")

    async def test_an_erased_conversation_breaks_the_answer_off(
        self, api: Api, many: ReadCount, name: str
    ):
        """Half of what somebody had deleted is handed out as a broken file, never as a whole."""
        database = api.services.database
        async with api.serving() as url:
            async with slow_client(url, f"{EXPORTS[1]}?format={name}") as download:
                await download.chunk()
                await until(lambda: many.reads > 4)
                async with database.write() as connection:
                    conversations = ConversationRepository(connection, HERE)
                    for session in ("s1", "s2"):
                        found = await conversations.find(session)
                        await conversations.erase(found, now=found.created_at)
                if name not in ("xlsx", "zip"):
                    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                        await download.rest()
            await until(lambda: api.services.export_slots.taken == 0)
