"""The command that runs everything at length: its table, its verdict, its exit code."""

import pytest
from tests.faults import chaos
from tests.faults.history import Verdict
from tests.faults.missing import Missing
from tests.faults.report import Row, table


def test_a_loss_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One lost call among thousands fails the command, and the table says where."""
    good, bad = Row("good", "sqlite", calls=5000, seen=5000), Row("bad", "sqlite", lost=1)
    monkeypatch.setitem(chaos.FAULTS, "power", lambda *_: iter([good, bad]))

    assert chaos.main(["power", "--database", "sqlite"]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["good", "bad", "total"]
    assert "PASS" in lines[-3]
    assert "FAIL" in lines[-2]


def test_a_fault_that_breaks_down_fails_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception is no pass, and what cannot be made here is neither pass nor failure."""

    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    def impossible(*_: object) -> None:
        raise Missing("nothing to mount")

    monkeypatch.setitem(chaos.FAULTS, "power", broken)
    monkeypatch.setitem(chaos.FAULTS, "kill", impossible)

    assert chaos.main(["power", "kill", "--database", "sqlite"]) == 1

    told = capsys.readouterr().out
    assert "broke down: RuntimeError: no such luck" in told
    assert "SKIP" in told
    assert "nothing to mount" in told


def test_an_unknown_fault_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the keyboard does not pass for a run without findings."""
    with pytest.raises(SystemExit) as ended:
        chaos.main(["kil"])

    assert ended.value.code == 2
    assert "kil" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["lost", "duplicated", "unexpected", "corrupt", "orphaned"])
def test_each_kind_of_finding_fails_a_row(kind: str) -> None:
    """What a checker finds reaches the table, whatever it is."""
    found: dict[str, list[str]] = {
        name: [] for name in ("lost", "duplicated", "unexpected", "corrupt", "orphaned")
    }
    found[kind] = ["question 1"]
    row = Row("a fault", "sqlite")

    row.add(Verdict(**found, recovered=0, ok=1, calls=1))

    assert row.verdict == "FAIL"
    assert "FAIL" in table([row]).splitlines()[1]
