"""The database fails in every way that it knows: no call does, and nothing is missing."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.databases import new_postgres_server
from tests.faults.outages import OUTAGES, failover, outage
from tests.faults.stage import Stage
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

SECONDS = float(os.environ.get("CHAOS_OUTAGE_SECONDS", "0.5"))

pytestmark = pytest.mark.timeout(300 + SECONDS)


@dataclass
class Scene:
    """A proxy on a server that may be stopped."""

    stage: Stage
    proxy: RunningProxy
    url: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all outages, which come one after the other, as outages do."""
    server = new_postgres_server()
    try:
        server.start()
        with ScriptedUpstream() as upstream:
            stage = Stage(tmp_path_factory.mktemp("outages"), upstream, "postgresql", server)
            url = stage.url()
            with stage.proxy(url) as proxy:
                yield Scene(stage, proxy, url)
    finally:
        server.remove()


@pytest.mark.parametrize("fault", OUTAGES)
def test_a_failing_database_fails_no_call(scene: Scene, fault: str) -> None:
    """Every call is answered, everything is stored afterwards, and nobody restarts anything."""
    row = outage(scene.stage, scene.proxy, scene.url, fault, seconds=SECONDS)

    print(row)
    assert row.is_good, row
    assert row.seen > 20
    assert scene.proxy.get("/health").json()["status"] == "ok"


def test_a_standby_takes_the_place_of_its_primary(sqlite_stage: Stage) -> None:
    """The proxy finds the promoted server by itself, and everything is on it."""
    row = failover(sqlite_stage, seconds=SECONDS)

    print(row)
    assert row.is_good, row
    assert row.seen > 20
