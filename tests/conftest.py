"""Fixtures that everybody needs; databases come from `databases`, programs from `proxies`."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.proxies import FOREIGN, CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

pytest_plugins = ["tests.databases"]

# By itself Hypothesis fails a test of which one example took a fifth of a second, or whose examples
# were slow to come. On a machine that others use as well that says nothing about the program.
settings.register_profile(
    "busy",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busy")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: no collection of garbage looks through them again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shield every test from the settings and the files of the machine it runs on."""
    import os  # noqa: PLC0415 - only here, to look at what is set

    for name in list(os.environ):
        if FOREIGN.match(name):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A running upstream that echoes; tests may give it another script."""
    with ScriptedUpstream() as running:
        yield running


StartProxy = Callable[..., RunningProxy]


@pytest.fixture
def start_proxy(
    tmp_path: Path, upstream: ScriptedUpstream, prepared_url: str
) -> Iterator[StartProxy]:
    """Start the program in front of `upstream`, on SQLite and on PostgreSQL; any settings."""
    started: list[RunningProxy] = []

    def start(*, environment: dict[str, str] | None = None, **settings: str) -> RunningProxy:
        given = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": prepared_url, **settings}
        proxy = CopiedProxy(tmp_path / f"proxy{len(started)}", given, environment or {})
        started.append(proxy)
        return proxy.start()

    yield start
    for proxy in started:
        if proxy.process.poll() is None:
            proxy.kill()


@pytest.fixture
def proxy(start_proxy: StartProxy) -> RunningProxy:
    """The running program with ordinary settings."""
    return start_proxy()
