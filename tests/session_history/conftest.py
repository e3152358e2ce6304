"""One running program on each database, and the services that the tests compare over them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from tests.databases import PostgresServer
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

from officeai_proxy.session_history import (
    DatabaseSessionHistoryService,
    HttpSessionHistoryService,
    InMemorySessionHistoryService,
    SessionHistoryService,
)

KINDS = ("memory", "database-sqlite", "database-postgresql", "http-sqlite", "http-postgresql")


@dataclass(frozen=True)
class House:
    """The program as it runs, and the database beneath it."""

    proxy: RunningProxy
    database_url: str

    def database_service(self, **more: bool | str) -> DatabaseSessionHistoryService:
        """A service on the program's own database."""
        return DatabaseSessionHistoryService(self.database_url, **more)  # type: ignore[arg-type]  # few and plain

    def http_service(self, **more: bool) -> HttpSessionHistoryService:
        """A service that asks the program."""
        return HttpSessionHistoryService(self.proxy.root, self.proxy.key, **more)

    def chat(self, user: str, session: str, *messages: dict[str, object]) -> None:
        """A recorded call; the upstream echoes what was said last."""
        with self.proxy.client(session, user) as client:
            body = {"model": "m", "messages": list(messages)}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text


def _new_house(folder: Path, database_url: str) -> Iterator[House]:
    with ScriptedUpstream() as upstream:
        settings = {
            "UPSTREAM_BASE_URL": upstream.base_url,
            "DATABASE_URL": database_url,
            "MAX_BODY_MB": "5",
        }
        with CopiedProxy(folder / "proxy", settings) as proxy:
            yield House(proxy, database_url)


@pytest.fixture(scope="session")
def sqlite_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The program on SQLite; tests keep apart by the names of their users."""
    folder = tmp_path_factory.mktemp("agents")
    yield from _new_house(folder, f"sqlite:///{folder / 'officeai.db'}")


@pytest.fixture(scope="session")
def postgresql_house(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[House]:
    """The same on PostgreSQL."""
    name = f"agents_{uuid4().hex}"
    url = postgres_server.create(name)
    yield from _new_house(tmp_path_factory.mktemp("agents"), url)
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest) -> House:
    """The program on each database."""
    found: House = request.getfixturevalue(f"{request.param}_house")
    return found


NewService = Callable[..., SessionHistoryService]


@pytest.fixture(params=KINDS)
async def new_service(request: pytest.FixtureRequest) -> AsyncIterator[NewService]:
    """Make services of each kind, with any options; all are stopped at the end."""
    kind, _, dialect = request.param.partition("-")
    houses: list[House] = [request.getfixturevalue(f"{dialect}_house")] if dialect else []
    async with AsyncExitStack() as stack:

        def new(**more: bool) -> SessionHistoryService:
            service: SessionHistoryService
            if kind == "memory":
                service = InMemorySessionHistoryService(**more)
            elif kind == "database":
                service = houses[0].database_service(**more)
            else:
                service = houses[0].http_service(**more)
            stack.push_async_callback(service.stop)
            return service

        yield new


@pytest.fixture
def service(new_service: NewService) -> SessionHistoryService:
    """A service of each kind as it comes."""
    return new_service()


@pytest.fixture
def user() -> str:
    """A user whom nobody else in the tests is."""
    return f"user-{uuid4().hex}"
