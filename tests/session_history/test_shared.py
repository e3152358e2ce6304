"""An agent's history and proxied chats are one thing, whichever way they came in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.databases import free_port
from tests.session_history.conftest import House

from officeai_proxy.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    InvalidKey,
    NotAllowed,
    Unavailable,
)
from officeai_proxy.session_history import (
    DatabaseSessionHistoryService,
    HttpSessionHistoryService,
    Message,
    Role,
    Session,
    SessionHistoryService,
    TextContent,
)


@pytest.fixture(params=["database", "http"])
async def service(request: pytest.FixtureRequest, house: House) -> SessionHistoryService:
    """A service over what the proxy has."""
    return house.database_service() if request.param == "database" else house.http_service()


def said(role: Role, text: str) -> Message:
    return Message(role=role, content=[TextContent(text=text)])


CALLED: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}


async def test_the_proxy_has_what_an_agent_wrote(
    service: SessionHistoryService, house: House, user: str
) -> None:
    """A session of the service is listed, read, searched and exported by the proxy."""
    word = f"w{user[-12:]}"
    async with service:
        session = await service.create_session(user, f"agent-{user}")
        await service.append_message(session, said(Role.USER, f"Where is 北京, {word}?"))
        await service.append_message(session, CALLED)

    [listed] = house.proxy.get(f"/conversations/user/{user}").json()["data"]
    assert (listed["session_id"], listed["message_count"]) == (session.id, 2)
    assert listed["title"] == f"Where is 北京, {word}?"
    read = house.proxy.get(f"/conversations/{session.id}").json()
    assert read["messages"][1]["raw"] == CALLED
    [hit] = house.proxy.get("/conversations/search", q=f"北京 {word}").json()["data"]
    assert hit["conversation"]["session_id"] == session.id
    exported = house.proxy.get(f"/conversations/{session.id}/export", format="jsonl").text
    messages = json.loads(exported)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["raw"] == CALLED


async def test_an_agent_has_what_the_proxy_recorded(
    service: SessionHistoryService, house: House, user: str
) -> None:
    """A proxied chat is listed and read by the service, and goes on where the agent left it."""
    session_id = f"chat-{user}"
    house.chat(user, session_id, {"role": "user", "content": "hello"})
    # A read of the proxy's waits until what was recorded is stored.
    assert len(house.proxy.path_of(session_id)) == 2
    async with service:
        session = await service.get_session(user, session_id)
        assert session is not None
        assert [one.id for one in await service.list_sessions(user)] == [session_id]
        told = [(one.role, one.content and one.content[0].model_dump()) for one in session.messages]
        await service.append_message(session, said(Role.USER, "go on"))

    assert told == [
        ("user", {"type": "text", "text": "hello"}),
        ("assistant", {"type": "text", "text": "echo: hello"}),
    ]
    whole: list[dict[str, object]] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "echo: hello"},
        {"role": "user", "content": "go on"},
    ]
    house.chat(user, session_id, *whole)
    assert [text for _, text in house.proxy.path_of(session_id)] == [
        "hello",
        "echo: hello",
        "go on",
        "echo: go on",
    ]


async def test_a_deleted_session_is_in_the_bin(
    service: SessionHistoryService, house: House, user: str
) -> None:
    """What the service deletes can be brought back by the proxy, and is then there again."""
    async with service:
        session = await service.create_session(user, f"bin-{user}")
        await service.append_message(session, said(Role.USER, "kept"))
        await service.delete_session(user, session.id)
        assert house.proxy.get(f"/conversations/{session.id}").status_code == 404

        with house.proxy.client() as client:
            restored = client.post(f"/conversations/{session.id}/restore")
        assert restored.status_code == 200

        assert await service.get_session(user, session.id) == session


async def test_workspaces_are_walls(house: House, user: str) -> None:
    """A service in one workspace neither sees nor deletes what is in another."""
    async with house.database_service() as here, house.database_service(workspace="w2") as there:
        session = await here.create_session(user, "s1")
        await here.append_message(session, said(Role.USER, "mine"))

        assert await there.get_session(user, "s1") is None
        assert await there.list_sessions(user) == []
        await there.delete_session(user, "s1")

        assert await here.get_session(user, "s1") == session


async def test_an_encrypted_database_needs_its_keys(tmp_path: Path) -> None:
    """With the keys what was said comes back and is in no file; without them nothing is opened."""
    url, keys = f"sqlite:///{tmp_path / 'sealed.db'}", {"k1": b"k" * 32}
    async with DatabaseSessionHistoryService(url, encryption_keys=keys) as service:
        session = await service.create_session("ann", "s1")
        await service.append_message(session, said(Role.USER, "canary"))
        assert await service.get_session("ann", "s1") == session
        for file in tmp_path.iterdir():
            assert b"canary" not in file.read_bytes(), file

    service = DatabaseSessionHistoryService(url)
    async with service_closed(service):
        with pytest.raises(ConfigurationError):
            await service.get_session("ann", "s1")
        assert not await service.health()


async def test_large_messages_go_in_several_requests(sqlite_house: House, user: str) -> None:
    """A list that is larger than the proxy takes at once arrives whole."""
    big = said(Role.USER, "x" * 2_100_000)
    async with sqlite_house.http_service() as service:
        session = await service.create_session(user, "big")
        await service.append_message(session, [big] * 3)

        assert await service.get_session(user, "big") == Session(
            id="big", user_id=user, messages=[big] * 3
        )


class TestUnreachable:
    """What a service says when it cannot do its part."""

    async def test_a_wrong_key_is_no_health(self, house: House) -> None:
        """Starting says that the key is wrong, and health is False."""
        service = HttpSessionHistoryService(house.proxy.root, "sk-wrong")
        async with service_closed(service):
            with pytest.raises(InvalidKey):
                await service.start()
            assert not await service.health()

    @pytest.mark.parametrize("key", ["", "sk-secret\n", "sk-secret\r\nX: y", "ключ-secret"])
    async def test_a_key_that_no_header_can_carry(self, key: str) -> None:
        """It is a wrong key before anybody is asked, no health, and is not shown."""
        service = HttpSessionHistoryService(f"http://127.0.0.1:{free_port()}", key)
        async with service_closed(service):
            with pytest.raises(InvalidKey) as refused:
                await service.list_sessions("ann")
            assert "secret" not in str(refused.value)
            assert not await service.health()

    async def test_a_key_of_one_user(self, house: House, user: str) -> None:
        """A key that is bound to a user starts and is healthy, and sees that user's sessions."""
        made = {"name": user, "user": user, "scopes": ["read", "write"]}
        with house.proxy.client() as client:
            key = client.post("/keys", json=made).json()["key"]
        async with HttpSessionHistoryService(house.proxy.root, key) as service:
            assert await service.health()
            session = await service.create_session(user, "mine")
            assert [one.id for one in await service.list_sessions(user)] == [session.id]
            with pytest.raises(NotAllowed):
                await service.list_sessions(f"{user}-other")

    async def test_a_key_that_may_not_read(self, house: House, user: str) -> None:
        """Starting with a key without the scope `read` is refused and says which is missing."""
        with house.proxy.client() as client:
            made = client.post("/keys", json={"name": user, "scopes": ["write"]}).json()
        service = HttpSessionHistoryService(house.proxy.root, made["key"])
        async with service_closed(service):
            with pytest.raises(NotAllowed, match="`read`"):
                await service.start()
            assert not await service.health()

    async def test_a_proxy_that_is_away(self) -> None:
        """Nobody listening is `Unavailable`, naming the address, and health is False."""
        root = f"http://127.0.0.1:{free_port()}"
        service = HttpSessionHistoryService(root, "sk-test")
        async with service_closed(service):
            with pytest.raises(Unavailable, match=root):
                await service.list_sessions("ann")
            assert not await service.health()

    async def test_another_server(self, house: House) -> None:
        """A base URL that leads elsewhere is not taken for a proxy without the session."""
        service = HttpSessionHistoryService(f"{house.proxy.root}/elsewhere", house.proxy.key)
        async with service_closed(service):
            with pytest.raises(Unavailable):
                await service.get_session("ann", "s1")

    async def test_a_database_that_is_away(self, tmp_path: Path) -> None:
        """A file that cannot be made is `DatabaseUnavailable`, and health is False."""
        (tmp_path / "file").write_text("", "utf-8")
        service = DatabaseSessionHistoryService(f"sqlite:///{tmp_path / 'file' / 'a.db'}")
        async with service_closed(service):
            with pytest.raises(DatabaseUnavailable):
                await service.list_sessions("ann")
            assert not await service.health()

    def test_wrong_addresses(self) -> None:
        """An address that can never work is refused at once, without showing a password."""
        with pytest.raises(ConfigurationError, match="http"):
            HttpSessionHistoryService("localhost:8000", "sk-test")
        with pytest.raises(ConfigurationError) as refused:
            DatabaseSessionHistoryService("mysql://me:secret@host/name")
        assert "secret" not in str(refused.value)

    async def test_v1_at_the_end_is_the_same_proxy(self, house: House, user: str) -> None:
        """The base URL of an OpenAI client leads to the same sessions."""
        service = HttpSessionHistoryService(f"{house.proxy.base_url}/", house.proxy.key)
        async with service_closed(service):
            assert await service.health()
            assert await service.list_sessions(user) == []


class service_closed:  # noqa: N801 - a context, read like a function
    """Stop a service at the end without having started it."""

    def __init__(self, service: SessionHistoryService) -> None:
        self._service = service

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await self._service.stop()


def test_no_web_framework_is_imported() -> None:
    """Importing the service imports neither FastAPI nor a server."""
    program = "import sys, officeai_proxy.session_history; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert "officeai_proxy.session_history.http" in imported
    assert not imported & {"fastapi", "starlette", "uvicorn"}


@pytest.mark.parametrize(
    "name", ["search", "export-all", "import", "user", "all", ".", "..", "...", "a?b#c", "a%2Eb"]
)
async def test_a_session_may_be_called_like_an_address(house: House, name: str) -> None:
    """Whatever its name is in a path, over HTTP it is read, added to and deleted."""
    user = uuid4().hex
    service = house.http_service()
    session = await service.create_session(user, name)
    lines = [said(Role.USER, str(number)) for number in range(1100)]
    await service.append_message(session, lines)
    house.chat(user, name, {"role": "user", "content": "and more"})

    found = await service.get_session(user, name)
    assert found is not None
    assert len(found.messages) == len(lines) + 2
    await service.delete_session(user, name)
    assert await service.get_session(user, name) is None
    assert await service.list_sessions(user) == []
    await service.stop()
