"""Sessions of the page as they are stored, on both databases."""

from datetime import timedelta

from tests.integration.stored import NOW

from officeai_proxy.storage.access.page_visits import PageVisit, PageVisitRepository, VisitKind
from officeai_proxy.storage.database import Database

HOUR = timedelta(hours=1)


def a_visit(digest: bytes = b"d" * 32, kind: VisitKind = VisitKind.SESSION) -> PageVisit:
    """A visit of an hour."""
    return PageVisit(
        digest=digest, kind=kind, key_id="key-1", created_at=NOW, expires_at=NOW + HOUR
    )


async def test_a_visit_is_found_until_it_is_over(database: Database) -> None:
    """A visit counts until its time is over, and only as what it is."""
    async with database.write() as connection:
        visits = PageVisitRepository(connection)
        await visits.add(a_visit())
        assert await visits.find(b"d" * 32, kind=VisitKind.SESSION, now=NOW) == a_visit()
        assert await visits.find(b"e" * 32, kind=VisitKind.SESSION, now=NOW) is None
        assert await visits.find(b"d" * 32, kind=VisitKind.INVITATION, now=NOW) is None
        assert await visits.find(b"d" * 32, kind=VisitKind.SESSION, now=NOW + HOUR) is None
        assert await visits.key_of(a_visit()) is None


async def test_a_visit_ends_once(database: Database) -> None:
    """Only the first who ends a visit has ended it: an invitation opens one session."""
    async with database.write() as connection:
        visits = PageVisitRepository(connection)
        await visits.add(a_visit())
        assert await visits.end(b"d" * 32, now=NOW)
        assert not await visits.end(b"d" * 32, now=NOW)
        assert await visits.find(b"d" * 32, kind=VisitKind.SESSION, now=NOW) is None


async def test_old_visits_are_forgotten(database: Database) -> None:
    """What has expired does not pile up, and what has not stays."""
    async with database.write() as connection:
        visits = PageVisitRepository(connection)
        await visits.add(a_visit())
        await visits.forget(now=NOW)
        assert await visits.find(b"d" * 32, kind=VisitKind.SESSION, now=NOW) is not None
        await visits.forget(now=NOW + HOUR)
        assert not await visits.end(b"d" * 32, now=NOW)
