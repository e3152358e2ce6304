"""One running program on each database for all examples."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.databases import PostgresServer
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream


def _running(folder: Path, database_url: str) -> Iterator[RunningProxy]:
    """The program in front of an upstream that echoes and knows no model `officeai`."""
    with ScriptedUpstream() as upstream:
        settings = {
            "UPSTREAM_BASE_URL": upstream.base_url,
            "DATABASE_URL": database_url,
            "MODEL_ALIASES": '{"officeai": "gpt-test"}',
        }
        with CopiedProxy(folder, settings) as proxy:
            yield proxy


@pytest.fixture(scope="session")
def sqlite_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """The program on SQLite; examples keep apart by their sessions."""
    folder = tmp_path_factory.mktemp("seeds")
    yield from _running(folder, f"sqlite:///{folder / 'officeai.db'}")


@pytest.fixture(scope="session")
def postgresql_proxy(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[RunningProxy]:
    """The same on PostgreSQL."""
    name = f"seeds_{uuid4().hex}"
    url = postgres_server.create(name)
    yield from _running(tmp_path_factory.mktemp("seeds"), url)
    postgres_server.drop(name)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def proxy(request: pytest.FixtureRequest) -> RunningProxy:
    """The program on each database."""
    found: RunningProxy = request.getfixturevalue(f"{request.param}_proxy")
    return found
