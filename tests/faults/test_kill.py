"""`kill -9` at random moments under load: what a client saw to the end is stored, and once."""

import os

import pytest
from tests.faults.kills import kills
from tests.faults.stage import Stage

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))


@pytest.mark.timeout(300 + 60 * ROUNDS)
@pytest.mark.parametrize(("kind", "workers"), [("sqlite", 1), ("postgresql", 2)])
def test_kill_9_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, kind: str, workers: int
) -> None:
    """Kills of everything, or of one of two workers; nothing lost, doubled or garbled."""
    stage: Stage = request.getfixturevalue(f"{kind}_stage")

    row = kills(stage, workers=workers, rounds=ROUNDS, at_least=10 * ROUNDS + 1)

    print(row)
    assert row.is_good, row
    assert row.seen > 10 * ROUNDS
