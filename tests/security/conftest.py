"""One estate for all tests of a module, on each database."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.databases import TEMPLATE, PostgresServer
from tests.security.estate import Estate, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def estate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Estate]:
    """The whole application with two workspaces in it."""
    folder = tmp_path_factory.mktemp("estate")
    if request.param == "sqlite":
        async with opened(folder, f"sqlite:///{folder / 'officeai.db'}") as made:
            yield made
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"test_{uuid4().hex}"
    async with opened(folder, server.create(name, template=TEMPLATE)) as made:
        yield made
    server.drop(name)
