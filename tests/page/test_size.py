"""How much a browser has to fetch before it shows the page; `scripts/bench page` has the times."""

from tests.api import NOW, Api
from tests.page.conftest import Reader
from tests.page.stories import LONG, tell_long, tell_many

MOST_BYTES = 100_000


async def test_the_first_view_is_small(paged: Api, reader: Reader) -> None:
    """However many conversations there are, the first view and all of its files are 100 KB."""
    await tell_many(paged.services.database, 2_000, NOW)
    assert (await reader.get("/ui")).status_code == 200
    addresses = ["/ui", *paged.app.state.page_renderer.assets.urls()]
    answers = [await reader.get(address, accept_encoding="gzip") for address in addresses]

    assert {answer.status_code for answer in answers} == {200}
    assert sum(int(answer.headers["content-length"]) for answer in answers) < MOST_BYTES


async def test_a_very_long_conversation_is_shown_in_part(paged: Api, reader: Reader) -> None:
    """One of 10,000 messages is as small as a short one, wherever it is opened."""
    number = await tell_long(paged.services.database, NOW, LONG)
    for path in (f"/ui/c/{number}", f"/ui/c/{number}?at=5000"):
        answer = await reader.get(path, accept_encoding="gzip")
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) < MOST_BYTES
