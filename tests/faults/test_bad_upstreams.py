"""Upstreams that misbehave: the client sees what they did, the record says what happened.

Breaks and silence after each chunk are in `tests/journey/test_endings_upstream.py` and
`test_endings_silence.py` already, one by one; the long form has them too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.faults.bad_upstreams import MISBEHAVIOURS, PATIENCE, misbehave
from tests.faults.stage import Stage
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

ELSEWHERE = ("reset", "silence", "garbage")
HERE = [name for name in MISBEHAVIOURS if not name.startswith(ELSEWHERE)]


@dataclass
class Scene:
    """A proxy with little patience, and its upstream."""

    stage: Stage
    proxy: RunningProxy


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One for all of them: what one has done must not hurt the next."""
    with ScriptedUpstream() as upstream:
        stage = Stage(tmp_path_factory.mktemp("bad"), upstream)
        with stage.proxy(stage.url(), **PATIENCE) as proxy:
            yield Scene(stage, proxy)


@pytest.mark.parametrize("name", HERE)
def test_a_misbehaving_upstream_is_seen_as_it_is(scene: Scene, name: str) -> None:
    """The client sees it, the record names it, memory stays small, and the next call works."""
    row = misbehave(scene.stage, scene.proxy, name)

    print(row)
    assert row.is_good, row
