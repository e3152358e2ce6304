"""A checker that cannot fail is worthless: each kind of violation is put in and must be found."""

import pytest
from tests.faults.history import History, Seen, Stored, Verdict, judge

TRUTH = {"q1": "a1", "q2": "a2", "q3": "a3"}
GOOD = [Stored("q1", "a1", "complete"), Stored("q2", "a2", "complete")]


def a_history() -> History:
    history = History()
    for question in TRUTH:
        history.invoke(question)
    history.end("q1", Seen.OK)
    history.end("q2", Seen.OK)
    return history


def verdict(*stored: Stored) -> Verdict:
    return judge(a_history(), stored, answer_to=TRUTH)


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        (GOOD[:1], "lost"),
        ([GOOD[0], Stored("q2", "a2", "interrupted")], "lost"),
        ([GOOD[0], Stored("q2", None, "complete")], "corrupt"),
        ([*GOOD, GOOD[0]], "duplicated"),
        ([*GOOD, Stored("q9", "a9", "complete")], "unexpected"),
        ([GOOD[0], Stored("q2", "a1", "complete")], "corrupt"),
        ([*GOOD, Stored("q3", "a3", "complete"), Stored("q3", "a", "client_closed")], "duplicated"),
        ([*GOOD, Stored("q3", "other", "interrupted")], "corrupt"),
        ([*GOOD, Stored(None, "a3", "complete")], "orphaned"),
        ([*GOOD, Stored("q3", "a3", None)], "orphaned"),
    ],
    ids=[
        "missing",
        "cut",
        "unanswered",
        "twice",
        "invented",
        "mixed up",
        "retold",
        "other words",
        "without a question",
        "without a call",
    ],
)
def test_every_violation_is_found(stored: list[Stored], kind: str) -> None:
    """A seeded violation makes the verdict invalid, and is told by its name."""
    found = verdict(*stored)

    assert not found.is_valid
    assert getattr(found, kind)


@pytest.mark.parametrize(
    "extra",
    [
        [],
        [Stored("q3", "a3", "complete")],
        [Stored("q3", "a", "interrupted")],
        [Stored("q3", None, "client_closed")],
    ],
    ids=["nothing", "whole", "a beginning", "the question"],
)
def test_what_the_client_does_not_know_may_be_stored_or_not(extra: list[Stored]) -> None:
    """A call that broke off for its client is there whole, in part, or not at all."""
    found = verdict(*GOOD, *extra)

    assert found.is_valid
    assert found.recovered == len(extra)
