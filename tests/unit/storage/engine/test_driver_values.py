"""Values as the drivers take and give them, against what SQLAlchemy makes of them."""

import re
import sqlite3
import warnings
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from officeai_proxy.storage.engine.driver_values import (
    EARLIEST,
    LATEST,
    id_list,
    moment_of,
    select_by_ids,
    sqlite_moment,
    storable,
    uuid_of,
)
from officeai_proxy.storage.tables import UtcDateTime

BERLIN = timezone(timedelta(hours=2))
FIRST_AND_LAST = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
ONE, TWO = UUID(int=1), UUID(int=0xFFFF << 100)


@pytest.mark.parametrize("moment", [None, datetime(2026, 11, 20, tzinfo=UTC)])
@pytest.mark.parametrize("zone", [UTC, BERLIN])
def test_absent_and_whole_seconds(moment: datetime | None, zone: timezone) -> None:
    """No moment stays none; one without a fraction has six decimals like all others."""
    found = sqlite_moment(None if moment is None else moment.astimezone(zone))

    assert found == (None if moment is None else "2026-11-20 00:00:00.000000")


@given(st.datetimes(timezones=st.sampled_from([UTC, BERLIN])))
def test_moments_as_sqlalchemy_writes_them(moment: datetime) -> None:
    """What goes past SQLAlchemy looks the same in the file, so that it sorts with the rest."""
    dialect = sqlite.dialect()
    as_sqlalchemy = UtcDateTime().dialect_impl(dialect).bind_processor(dialect)
    assert as_sqlalchemy is not None
    text = sqlite_moment(moment)

    assert text == as_sqlalchemy(moment)
    assert text is not None
    assert moment_of(text) == storable(moment)


@pytest.mark.parametrize("moment", FIRST_AND_LAST)
def test_the_ends_of_the_calendar_are_kept_a_microsecond_inside(moment: datetime) -> None:
    """On both ways into a database, and nothing else is moved."""
    kept = UtcDateTime().process_bind_param(moment, sqlite.dialect())

    assert kept == storable(moment) != moment
    assert abs(kept - moment) == timedelta(microseconds=1)
    assert sqlite_moment(moment) == sqlite_moment(kept)
    assert [storable(end) for end in (EARLIEST, LATEST)] == [EARLIEST, LATEST]


def test_a_moment_before_or_behind_the_calendar_is_its_end() -> None:
    """The first day begins in Berlin before the calendar in UTC does, and in New York it ends."""
    assert storable(datetime.min.replace(tzinfo=BERLIN)) == EARLIEST
    assert storable(datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))) == LATEST


def test_what_postgresql_gives_stays() -> None:
    """A driver that knows the types is believed."""
    moment = datetime(2026, 11, 20, tzinfo=UTC)

    assert moment_of(moment) is moment
    assert uuid_of(ONE) is ONE
    assert id_list([ONE, TWO], dialect="postgresql") == [ONE, TWO]


@pytest.mark.parametrize("ids", [[], [ONE], [ONE, TWO], [1, 2**62]])
def test_ids_as_sqlite_reads_them(ids: list[UUID] | list[int]) -> None:
    """SQLite takes the list apart into what its columns hold."""
    given = id_list(ids, dialect="sqlite")
    connection = sqlite3.connect(":memory:")
    found = [value for (value,) in connection.execute("SELECT value FROM json_each(?)", (given,))]
    connection.close()

    assert [uuid_of(one) if isinstance(one, str) else one for one in found] == ids


def test_statements_number_no_places_for_sqlite() -> None:
    """From 3.14 on `sqlite3` takes a numbered place for a name, and no sequence for it."""
    statement = select_by_ids("id", "conversations", kind="bigint")["sqlite"]
    with warnings.catch_warnings(), closing(sqlite3.connect(":memory:")) as connection:
        warnings.simplefilter("error")
        connection.execute("CREATE TABLE conversations (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO conversations VALUES (7), (8)")
        assert connection.execute(statement, ("[8, 9]",)).fetchall() == [(8,)]
    assert not re.search(r"\?\d", statement)
