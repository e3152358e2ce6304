"""Single values of files: what is taken, what is refused, what is unknown."""

from datetime import UTC, datetime

import pytest

from officeai_proxy.formats.reading.fields import (
    count_or_none,
    moment_of_epoch,
    moment_or_none,
    name_or_none,
    object_or_empty,
    role_in,
    text_or_none,
)
from officeai_proxy.formats.reading.imported import BadItem
from officeai_proxy.model import Json

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("value", [1, "yesterday", "", "2026-13-01", "0001-01-01T00:00:00+05:00"])
def test_what_is_no_moment_is_refused(value: Json) -> None:
    """A wrong time is told with an example of a right one."""
    with pytest.raises(BadItem, match="`t` must be a moment such as"):
        moment_or_none(value, "t")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00",
        "2026-01-31T20:00:00+08:00",
    ],
)
def test_moments_come_in_utc(text: str) -> None:
    """Whatever its zone, a moment is told in UTC; without one it is UTC."""
    found = moment_or_none(text, "t")

    assert found == NOON
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_the_unit_of_an_epoch_shows_in_its_size(unit: int) -> None:
    """Seconds, milli-, micro- and nanoseconds since 1970 are the same moment."""
    assert moment_of_epoch(int(NOON.timestamp()) * unit) == NOON


@pytest.mark.parametrize("value", [None, "1", True, [], 1e300, -1e300, 10**400, -9 * 10**10])
def test_no_epoch_is_unknown(value: Json) -> None:
    """What is no number, or no moment of the calendar, is no time at all."""
    assert moment_of_epoch(value) is None


@pytest.mark.parametrize("value", [-1, 2**63, True, 1.0, "1"])
def test_a_count_is_a_whole_number(value: Json) -> None:
    """Nothing but a whole number that a database keeps is a count."""
    with pytest.raises(BadItem, match="`n` must be a whole number"):
        count_or_none(value, "n")


def test_texts_can_be_stored() -> None:
    """A text has nothing that no database takes; a name is left as it is, to be refused."""
    assert text_or_none("a\0\ud800", "t") == "a\u2400\ufffd"
    assert name_or_none("a\0", "t") == "a\0"
    assert name_or_none("", "t") is None
    for read in (text_or_none, name_or_none, object_or_empty):
        with pytest.raises(BadItem, match="`t` must be a"):
            read(1, "t")


@pytest.mark.parametrize(
    ("told", "role"),
    [
        ("user", "user"),
        ("User ", "user"),
        ("human", "user"),
        ("gpt", "assistant"),
        ("TOOL", "tool"),
    ],
)
def test_roles_of_other_programs(told: str, role: str) -> None:
    """What other programs call the same is the same."""
    assert role_in(told) == role


@pytest.mark.parametrize("told", ["banana", "", None, 5, ["user"], "x" * 1000])
def test_no_role_is_refused(told: Json) -> None:
    """Nobody is put in the place of somebody unknown."""
    with pytest.raises(BadItem, match="`role` must be ") as refusal:
        role_in(told)
    assert len(str(refusal.value)) < 200
