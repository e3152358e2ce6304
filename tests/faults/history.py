"""What clients saw and what the database holds, and whether the two fit: a checker for any fault.

The idea is Jepsen's (jepsen.io, `checker.clj`): a client knows of each call that it ended well
(`ok`), that it was refused before anything happened (`fail`), or neither (`info`). What ended well
must be stored exactly once and as it was; what is stored must have been asked.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Seen(Enum):
    """How a call ended for its client."""

    OK = "ok"
    INFO = "info"
    FAIL = "fail"


@dataclass(frozen=True)
class Stored:
    """A recorded call as the database has it: what was asked, what was answered, how it ended.

    `question` is None for an answer that stands alone, `outcome` for messages whose call is not in
    the log.
    """

    question: str | None
    answer: str | None
    outcome: str | None


@dataclass
class History:
    """The calls of all clients, by their question; every question is asked once."""

    seen: dict[str, Seen] = field(default_factory=dict)

    def invoke(self, question: str) -> None:
        """A client is about to call; until it says more, nothing is known."""
        assert question not in self.seen
        self.seen[question] = Seen.INFO

    def end(self, question: str, seen: Seen) -> None:
        """A client knows how its call ended."""
        self.seen[question] = seen

    @property
    def ok(self) -> int:
        """How many ended well so far."""
        return sum(seen is Seen.OK for seen in list(self.seen.values()))


@dataclass(frozen=True)
class Verdict:
    """What is wrong, by kind, as questions (of orphans without one, the answers).

    `recovered` is no fault: stored, not seen to end.
    """

    lost: list[str]
    duplicated: list[str]
    unexpected: list[str]
    corrupt: list[str]
    orphaned: list[str]
    recovered: int
    ok: int
    calls: int

    @property
    def is_valid(self) -> bool:
        """Whether every promise was kept."""
        return not (
            self.lost or self.duplicated or self.unexpected or self.corrupt or self.orphaned
        )

    def __str__(self) -> str:
        """One line of a table."""
        return (
            f"ok {self.ok}, lost {len(self.lost)}, duplicated {len(self.duplicated)}, "
            f"unexpected {len(self.unexpected)}, corrupt {len(self.corrupt)}, "
            f"orphaned {len(self.orphaned)}, recovered {self.recovered}"
        )


def judge(history: History, stored: Iterable[Stored], *, answer_to: dict[str, str]) -> Verdict:
    """Compare *history* with what is *stored*; *answer_to* is what the upstream says to each."""
    rows = list(stored)
    asked = [(row.question, row) for row in rows if row.question is not None]
    counts = Counter(question for question, _ in asked)
    complete = {question for question, row in asked if row.outcome == "complete"}
    ok = {question for question, seen in history.seen.items() if seen is Seen.OK}
    return Verdict(
        lost=sorted(ok - complete),
        duplicated=sorted(question for question, count in counts.items() if count > 1),
        unexpected=sorted(counts.keys() - history.seen.keys()),
        corrupt=sorted(
            question for question, row in asked if not _is_true(row, answer_to.get(question, ""))
        ),
        orphaned=sorted(
            str(row.question or row.answer)
            for row in rows
            if row.question is None or row.outcome is None
        ),
        recovered=len(counts.keys() - ok),
        ok=len(ok),
        calls=len(history.seen),
    )


def _is_true(row: Stored, truth: str) -> bool:
    """A complete answer is the whole truth, any other a beginning of it."""
    if row.outcome == "complete":
        return row.answer == truth
    return row.answer is None or truth.startswith(row.answer)
