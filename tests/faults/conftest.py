"""The stage on which the short form of each fault is shown."""

from pathlib import Path

import pytest
from tests.databases import PostgresServer
from tests.faults.stage import Stage
from tests.proxies import CopiedProxy
from tests.upstream import ScriptedUpstream


@pytest.fixture
def sqlite_stage(tmp_path: Path, upstream: ScriptedUpstream) -> Stage:
    """A stage with SQLite."""
    return Stage(tmp_path, upstream, program=CopiedProxy)


@pytest.fixture
def postgresql_stage(
    tmp_path: Path, upstream: ScriptedUpstream, postgres_server: PostgresServer
) -> Stage:
    """A stage with the server that the tests of this process share."""
    return Stage(tmp_path, upstream, "postgresql", postgres_server, CopiedProxy)


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """A stage with each kind of database."""
    found = request.getfixturevalue(f"{request.param}_stage")
    assert isinstance(found, Stage)
    return found
