"""One running proxy and one upstream for all tests of a module that need ordinary settings."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.journey.gates import Gate
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream, echo


@pytest.fixture(scope="module")
def _running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ScriptedUpstream, RunningProxy]]:
    with ScriptedUpstream() as upstream:
        settings = {"UPSTREAM_BASE_URL": upstream.base_url}
        with CopiedProxy(tmp_path_factory.mktemp("shared"), settings) as proxy:
            yield upstream, proxy


@pytest.fixture
def behind(_running: tuple[ScriptedUpstream, RunningProxy]) -> ScriptedUpstream:
    """The upstream of `shared`, which echoes again and has seen nothing of this test's."""
    upstream, _ = _running
    upstream.script = echo
    upstream.requests.clear()
    return upstream


@pytest.fixture
def shared(_running: tuple[ScriptedUpstream, RunningProxy], behind: object) -> RunningProxy:
    """A proxy in front of `behind` that the tests of a module share; on SQLite."""
    return _running[1]


@pytest.fixture
def session() -> str:
    """A session id that no other test has."""
    return f"s-{uuid4().hex}"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A closed gate; open at the latest when the test is over, so that no script hangs."""
    gate = Gate()
    yield gate
    gate.open()
