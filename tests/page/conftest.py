"""The page over the read side of the tests, and what a browser would send to it."""

import shutil
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.api import KEY, Api, Services, new_application
from tests.databases import run_apart

from officeai_proxy import page
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Reader:
    """A browser without a screen: keeps cookies, says where its requests come from."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Use *client*."""
        self.client = client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """A page, or with `x_part=` a part of one."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get(path, headers=named)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page."""
        return await self.client.post(path, data=fields, headers=SAME_ORIGIN)

    async def sign_in(self, key: str = KEY) -> httpx.Response:
        """Come in with *key*."""
        return await self.post("/ui/enter", key=key)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and nothing in them."""
    file = tmp_path_factory.mktemp("page") / "empty.db"

    async def make() -> None:
        database = Database(f"sqlite:///{file}", checkpoints=True)
        await prepare(database)
        await database.checkpoint()
        await database.close()

    run_apart(make())
    return file


@cache
def _application() -> FastAPI:
    app = new_application()
    page.install(app)
    return app


ON_BOTH = pytest.mark.parametrize("page_url", ["sqlite", "postgresql"], indirect=True)
"""What changes something is tried on both databases, of what is only read what differs is tested in
`tests/integration`: the other tests are on SQLite."""


@pytest.fixture
def page_url(request: pytest.FixtureRequest, empty_file: Path, tmp_path: Path) -> str:
    """The URL of a database with all tables and nothing in them: on SQLite, or as ON_BOTH says."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    file = tmp_path / "officeai.db"
    shutil.copyfile(empty_file, file)
    return f"sqlite:///{file}"


@pytest.fixture
async def paged(page_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The read side with the page on it, over an empty database."""
    database = Database(page_url)
    settings = load_settings(max_body_mb=0.5, api_keys=KEY, data_dir=tmp_path, _env_file=None)
    api = Api(Services(database=database, settings=settings), _application())
    yield api
    await database.close()


@pytest.fixture
async def stranger(paged: Api) -> AsyncIterator[Reader]:
    """A browser that is not signed in."""
    async with paged.client(key=None) as client:
        yield Reader(client)


@pytest.fixture
async def reader(stranger: Reader) -> Reader:
    """A browser that is signed in with a key for everything."""
    answer = await stranger.sign_in()
    assert answer.status_code == 303
    return stranger
