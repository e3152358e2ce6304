"""Bytes, endings and refusals once more, with every call going through ASGI.

The tests are those of the modules named here, as far as they use the shared program; only the
program is another. It is the way of all calls that have to wait, and of servers other than ours.
"""

import sys
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import pytest
from tests.journey import (
    test_bad_calls,
    test_bytes,
    test_endings_client,
    test_endings_upstream,
    test_headers,
)
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

ROOT = Path(__file__).resolve().parents[2]
PLAIN = (sys.executable, "-m", "tests.plain_asgi")

for module in (
    test_bad_calls,
    test_bytes,
    test_endings_client,
    test_endings_upstream,
    test_headers,
):
    for name, test in vars(module).items():
        if name.startswith("test_") and "shared" in signature(test).parameters:
            globals()[name] = test


@pytest.fixture(scope="module")
def _running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ScriptedUpstream, RunningProxy]]:
    with ScriptedUpstream() as upstream:
        settings = {"UPSTREAM_BASE_URL": upstream.base_url}
        proxy = RunningProxy(
            tmp_path_factory.mktemp("plain"),
            settings,
            environment={"PYTHONPATH": str(ROOT)},
            program=PLAIN,
        )
        with proxy:
            yield upstream, proxy
