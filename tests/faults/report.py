"""Findings in, a table out: one row for each fault, with what it did to calls and records."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.history import Verdict

COLUMNS = ("calls", "seen", "lost", "duplicated", "corrupted", "orphaned")
HEADINGS = ("fault", "database", *COLUMNS, "verdict", "notes")


@dataclass
class Row:
    """What one fault did.

    `seen` are calls that their client saw to the end. `problems` are broken promises that are no
    number of the table, each a sentence; `notes` are what else there is to know.
    """

    fault: str
    database: str
    calls: int = 0
    seen: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    orphaned: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept; a fault that could not be made is no failure."""
        return not (
            self.lost or self.duplicated or self.corrupted or self.orphaned or self.problems
        )

    @property
    def verdict(self) -> str:
        """PASS, FAIL or SKIP."""
        if self.skipped:
            return "SKIP"
        return "PASS" if self.is_good else "FAIL"

    def add(self, verdict: Verdict) -> None:
        """Count what a checker has found; what nobody asked for counts as corrupted."""
        self.calls += verdict.calls
        self.seen += verdict.ok
        self.lost += len(verdict.lost)
        self.duplicated += len(verdict.duplicated)
        self.corrupted += len(verdict.corrupt) + len(verdict.unexpected)
        self.orphaned += len(verdict.orphaned)

    def expect(self, is_true: bool, promise: str) -> None:
        """Note *promise* as broken unless it is true."""
        if not is_true:
            self.problems.append(promise)

    def __str__(self) -> str:
        """One line that says everything."""
        numbers = ", ".join(f"{name} {getattr(self, name)}" for name in COLUMNS)
        return "; ".join(
            [f"{self.fault} ({self.database}): {numbers}", *self.problems, *self.notes]
        )


def table(rows: Iterable[Row]) -> str:
    """All *rows*, aligned, and their sums."""
    rows = list(rows)
    total = Row("total", "")
    for name in COLUMNS:
        setattr(total, name, sum(getattr(row, name) for row in rows))
    total.problems = [problem for row in rows for problem in row.problems]
    lines = [HEADINGS, *map(_cells, rows), (*_cells(total)[:-1], "")]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADINGS) - 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, [*widths, 0], strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (f"{getattr(row, name):,}" for name in COLUMNS)
    return (
        row.fault,
        row.database,
        *numbers,
        row.verdict,
        "; ".join([*row.problems, *row.notes, *filter(None, [row.skipped])]),
    )
