"""The read side as a whole application for tests: real routes, real storage, keys of all kinds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from officeai_proxy import history, swagger
from officeai_proxy.api import faults
from officeai_proxy.audit import AuditLog
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.keys import digest
from officeai_proxy.exports import ExportSlots
from officeai_proxy.model import ApiKey, Scope
from officeai_proxy.recording.setaside import SetAsideFolder
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.storage.database import Database

KEY = "sk-test-everything"
READER = "sk-test-reader"
WRITER = "sk-test-writer"
ALICE = "sk-test-alice"
OTHER_TEAM = "sk-test-other-team"
STRANGER = "sk-test-stranger"

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


class Clock:
    """A clock that goes on by a second whenever it is read, so that no two moments are equal."""

    def __init__(self) -> None:
        """Begin at NOW."""
        self.now = NOW

    def __call__(self) -> datetime:
        """The next second."""
        self.now += timedelta(seconds=1)
        return self.now


class CountedFreshness:
    """Counts who waited for what was recorded."""

    def __init__(self) -> None:
        """Nobody has waited yet."""
        self.waits = 0

    async def wait(self) -> None:
        """Everything is stored already."""
        self.waits += 1


def a_managed_key(key: str, *, workspace: str, scopes: set[Scope], user: str | None) -> ApiKey:
    """A managed key as the database has it."""
    return ApiKey(
        id=key.removeprefix("sk-test-"),
        name=key,
        digest=digest(key),
        hint="…",
        workspace=workspace,
        scopes=frozenset(scopes),
        created_at=NOW,
        user=user,
    )


MANAGED = [
    a_managed_key(READER, workspace="default", scopes={Scope.READ}, user=None),
    a_managed_key(WRITER, workspace="default", scopes={Scope.WRITE}, user=None),
    a_managed_key(ALICE, workspace="default", scopes=set(Scope), user="alice"),
    a_managed_key(OTHER_TEAM, workspace="other", scopes=set(Scope), user=None),
]


@dataclass
class Services:
    """What the routes find at `app.state.services`."""

    database: Database
    settings: Settings
    clock: Clock = field(default_factory=Clock)
    freshness: CountedFreshness = field(default_factory=CountedFreshness)
    export_slots: ExportSlots = field(default_factory=lambda: ExportSlots(2))
    keyring: Keyring = field(init=False)
    audit: AuditLog = field(init=False)
    set_aside: SetAsideFolder = field(init=False)

    def __post_init__(self) -> None:
        """Know all keys of the tests."""
        self.audit = AuditLog(self.database, self.clock)
        self.set_aside = SetAsideFolder(self.settings.journal_dir)
        self.keyring = Keyring([KEY], lambda: NOW)
        self.keyring.replace_managed(MANAGED)


def new_application() -> FastAPI:
    """The routes of the read side, without services."""
    app = FastAPI(title="officeai-proxy", docs_url=None, redoc_url=None, redirect_slashes=False)
    faults.install(app)
    swagger.install(app)
    for router in history.ROUTERS:
        app.include_router(router)
    return app


# Putting the routes together takes longer than most tests do.
_shared_application = cache(new_application)


class Api:
    """One application and the clients that call it."""

    def __init__(self, services: Services, app: FastAPI | None = None) -> None:
        """Wire the application as the real one is; *app* is one that others do not use as well."""
        self.services = services
        self.app = app or _shared_application()
        self.app.state.services = services

    def client(self, key: str | None = KEY) -> httpx.AsyncClient:
        """A client with *key* that calls the application without a socket."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=headers, timeout=60
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free loopback port; gives the base URL."""
        config = uvicorn.Config(self.app, port=0, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        server.config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(server.main_loop())
                yield f"http://127.0.0.1:{port}"
                server.should_exit = True
                await ticking
        finally:
            await server.shutdown()


@pytest.fixture
def api(database: Database) -> Api:
    """The read side over an empty database."""
    settings = load_settings(max_body_mb=0.5, _env_file=None)
    return Api(Services(database=database, settings=settings))


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key for everything in the workspace `default`."""
    async with api.client() as opened:
        yield opened
