"""Who comes in to the page, how long they may stay, and what nobody can do for them."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.api import ALICE, KEY, NOW, READER, STRANGER, WRITER, Api, a_managed_key
from tests.page.conftest import SAME_ORIGIN, Reader

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.model import Scope
from officeai_proxy.page.visits import INVITATION_LIFE, LIFE, invite
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.tables import page_visits

ADDRESSES = ("/ui", "/ui/c/1", "/ui/search?q=a", "/ui/users", "/ui/export", "/ui/download")


async def with_key(paged: Api, key: str, *, scopes: set[Scope] | None = None) -> None:
    """Store a managed key, as the database of a real proxy has it."""
    stored = a_managed_key(
        key, workspace="default", scopes=set(Scope) if scopes is None else scopes, user=None
    )
    async with paged.services.database.write() as connection:
        await ApiKeyRepository(connection).add(stored)


async def test_a_stranger_sees_the_door(stranger: Reader) -> None:
    """Whoever is not signed in is asked for a key, and sees nothing else."""
    for address in ADDRESSES:
        answer = await stranger.get(address)
        assert answer.status_code == 401, address
        assert 'name="key"' in answer.text


async def test_the_name_of_the_host_leads_to_the_page(stranger: Reader) -> None:
    """Nobody has to know that it is called `/ui`."""
    answer = await stranger.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui")


async def test_a_stranger_was_never_signed_in(stranger: Reader) -> None:
    """Nobody who comes for the first time is told that something has ended."""
    assert "has ended" not in (await stranger.get("/ui")).text


async def test_a_stranger_who_wants_a_file_is_led_to_its_sheet(stranger: Reader) -> None:
    """A download alone would leave them at the door, signed in."""
    for path in ("/ui/download?user=ann", "/ui/c/1/download"):
        shown = (await stranger.get(path)).text
        assert f'name="next" value="{path.replace("download", "export")}"' in shown


async def test_a_part_of_the_page_is_just_refused(stranger: Reader) -> None:
    """The page's script hears 401, and not a door in the middle of a list."""
    for address in ("/ui", "/ui/c/1/messages?after=1", "/ui/users"):
        answer = await stranger.get(address, x_part="more")
        assert answer.status_code == 401, address
        assert not answer.content


async def test_a_change_after_the_end_of_the_session(reader: Reader) -> None:
    """The door says that it was not made, and leads back to where it was to be made."""
    await reader.post("/ui/leave")
    for referer, back in (
        ("http://test/ui/c/1?user=a%26b", "/ui/c/1?user=a%26b"),
        ("http://test//evil.example/ui", "/ui"),
        ("", "/ui"),
    ):
        answer = await reader.client.post(
            "/ui/c/1/title", data={"title": "new"}, headers={**SAME_ORIGIN, "Referer": referer}
        )
        assert answer.status_code == 303
        door = await reader.get(answer.headers["location"])
        assert "the change was not made" in door.text
        assert f'name="next" value="{back}"' in door.text


async def test_a_wrong_key(stranger: Reader) -> None:
    """A key that opens nothing opens nothing, and the door says so without repeating it."""
    answer = await stranger.sign_in(STRANGER)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert STRANGER not in answer.text


async def test_who_tries_many_keys_is_told_when_to_come_back(stranger: Reader) -> None:
    """The door says so as the API does."""
    answers = [await stranger.sign_in(f"{STRANGER}-{number}") for number in range(65)]

    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_forms_of_other_sites(reader: Reader, headers: dict[str, str]) -> None:
    """A form or script of another site changes nothing, although the cookie came along."""
    for path in ("/ui/enter", "/ui/leave", "/ui/preferences", "/ui/clear", "/ui/import"):
        answer = await reader.client.post(path, data={"key": KEY, "user": "a"}, headers=headers)
        assert answer.status_code == 403, path
    assert (await reader.get("/ui")).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data"])
async def test_other_kinds_of_bodies(stranger: Reader, kind: str) -> None:
    """Only a form is read as a form."""
    answer = await stranger.client.post(
        "/ui/enter", content=f"key={KEY}", headers={**SAME_ORIGIN, "Content-Type": kind}
    )
    assert answer.status_code == 415


async def test_the_cookie(stranger: Reader) -> None:
    """The cookie is no key: a script cannot read it, and no other site can send it."""
    cookie = (await stranger.sign_in()).headers["set-cookie"]
    assert KEY not in cookie
    for flag in ("HttpOnly", "SameSite=strict", "Path=/ui"):
        assert flag in cookie
    assert "Secure" not in cookie


async def test_a_secure_cookie(paged: Api, stranger: Reader) -> None:
    """Over TLS the cookie never goes without it."""
    stranger.client.base_url = "https://test"
    assert "Secure" in (await stranger.sign_in()).headers["set-cookie"]


async def test_a_new_session_each_time(reader: Reader) -> None:
    """A session that somebody planted is not the one that a key is given to."""
    before = reader.client.cookies["officeai_page"]
    await reader.sign_in()
    assert reader.client.cookies["officeai_page"] != before


async def test_what_is_stored(paged: Api, reader: Reader) -> None:
    """Neither the token nor the key is in the database."""
    async with paged.services.database.read() as connection:
        [row] = (await connection.execute(select(page_visits))).all()
    told = repr(row)
    assert reader.client.cookies["officeai_page"] not in told
    assert KEY not in told


async def test_signing_out(reader: Reader) -> None:
    """After signing out the cookie opens nothing, also for whoever has a copy of it."""
    token = reader.client.cookies["officeai_page"]
    await reader.post("/ui/leave")
    reader.client.cookies.set("officeai_page", token, path="/ui")
    assert (await reader.get("/ui")).status_code == 401


async def test_a_session_ends_by_itself(paged: Api, reader: Reader) -> None:
    """After a week the key is asked for again."""
    paged.services.clock.now += LIFE
    assert (await reader.get("/ui")).status_code == 401


async def test_a_session_dies_with_its_key(paged: Api, stranger: Reader) -> None:
    """A key that is revoked takes its sessions with it at once."""
    await with_key(paged, READER, scopes={Scope.READ})
    await stranger.sign_in(READER)
    assert (await stranger.get("/ui")).status_code == 200
    async with paged.services.database.write() as connection:
        await ApiKeyRepository(connection).revoke("reader", now=NOW)
    refused = await stranger.get("/ui")
    assert refused.status_code == 401
    assert "its key has ended" in refused.text


async def test_a_session_dies_with_a_configured_key(paged: Api, reader: Reader) -> None:
    """A key that is configured no longer takes its sessions with it, also when another is."""
    other = "sk-test-another"
    paged.services.settings = paged.services.settings.model_copy(update={"api_keys": ()})
    paged.services.keyring = Keyring([other], lambda: NOW)
    assert (await reader.get("/ui")).status_code == 401


async def test_scopes_hold(paged: Api, stranger: Reader) -> None:
    """A key that may only read sees no button that changes, and cannot use one either."""
    await with_key(paged, READER, scopes={Scope.READ})
    await stranger.sign_in(READER)
    shown = await stranger.get("/ui")
    assert "/ui/import" not in shown.text
    assert "/ui/export" not in shown.text
    for path in ("/ui/c/1/bin", "/ui/c/1/title", "/ui/clear", "/ui/c/1/erase"):
        assert (await stranger.post(path, user="a")).status_code == 403
    assert (await stranger.get("/ui/download")).status_code == 403


async def test_an_invitation_works_once(paged: Api, stranger: Reader) -> None:
    """The link that was printed signs in once, and never again."""
    await with_key(paged, ALICE)
    token = await invite(paged.services.database, ALICE, now=NOW)
    answer = await stranger.get(f"/ui/enter?once={token}", sec_fetch_site="none")
    assert answer.headers["location"] == "/ui"
    assert (await stranger.get("/ui")).status_code == 200
    stranger.client.cookies.clear()
    again = await stranger.get(f"/ui/enter?once={token}", sec_fetch_site="none")
    assert again.status_code == 401
    assert "set-cookie" not in again.headers


async def test_an_invitation_gets_old(paged: Api, stranger: Reader) -> None:
    """The link that was printed opens nothing after a quarter of an hour."""
    await with_key(paged, ALICE)
    token = await invite(paged.services.database, ALICE, now=NOW - INVITATION_LIFE)
    assert (await stranger.get(f"/ui/enter?once={token}")).status_code == 401


async def test_an_invitation_is_no_session(paged: Api, stranger: Reader) -> None:
    """The token of a link cannot be used as a cookie."""
    await with_key(paged, ALICE)
    token = await invite(paged.services.database, ALICE, now=NOW + timedelta(minutes=1))
    stranger.client.cookies.set("officeai_page", token, path="/ui")
    assert (await stranger.get("/ui")).status_code == 401


async def test_an_invitation_of_another_site_asks_first(paged: Api, stranger: Reader) -> None:
    """Another site cannot sign somebody in as somebody else without being noticed."""
    await with_key(paged, ALICE)
    token = await invite(paged.services.database, ALICE, now=NOW)
    asked = await stranger.get(f"/ui/enter?once={token}", sec_fetch_site="cross-site")
    assert "set-cookie" not in asked.headers
    assert token in asked.text
    assert (await stranger.post("/ui/enter", once=token)).status_code == 303


async def test_a_link_of_another_site(stranger: Reader) -> None:
    """A reader who follows a link from elsewhere is sent on from here, where the cookie counts."""
    answer = await stranger.get("/ui/c/7", sec_fetch_site="cross-site")
    assert 'content="0;url=/ui/c/7"' in answer.text
    assert "/ui/c/7" in (await stranger.get("/ui/c/7", sec_fetch_site="same-origin")).text


async def test_where_somebody_lands(stranger: Reader) -> None:
    """Signing in goes on to where somebody wanted to go, inside the page."""
    answer = await stranger.post("/ui/enter", key=KEY, next="/ui/search?q=a")
    assert answer.headers["location"] == "/ui/search?q=a"
    answer = await stranger.post("/ui/enter", key=KEY, next="//evil.example")
    assert answer.headers["location"] == "/ui"


async def test_headers_of_every_answer(stranger: Reader) -> None:
    """The policy stands on every answer, errors included, and nothing of it is kept by caches."""
    others = ("/ui/enter", "/ui/nothing", "/ui/c/x", "/ui/static/nothing.js", "/ui/c/1.css")
    for path in (*ADDRESSES, *others):
        headers = (await stranger.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


async def test_who_may_not_read_is_shown_no_title_on_the_way_to_a_change(
    paged: Api, stranger: Reader
) -> None:
    """A key that may only write learns neither titles nor counts; importing is all that it can."""
    async with paged.client() as client:
        named = {"user_identifier": "ann", "session_id": "s1", "title": "canary"}
        number = (await client.post("/conversations/", json=named)).json()["id"]
    await with_key(paged, WRITER, scopes={Scope.WRITE})
    await stranger.sign_in(WRITER)

    for path in (f"/ui/c/{number}/title", f"/ui/c/{number}/erase", "/ui/clear?user=ann"):
        shown = await stranger.get(path)
        assert shown.status_code == 403, path
        assert "canary" not in shown.text
        assert "1 conversation" not in shown.text
    wrong = await stranger.post("/ui/clear", user="ann", confirm="")
    assert wrong.status_code == 403
    assert (await stranger.get("/ui/import")).status_code == 200


async def test_who_may_read_nothing_is_not_led_in_a_circle(paged: Api, stranger: Reader) -> None:
    """Neither to conversations nor to a search, but to the door, for another key."""
    await with_key(paged, WRITER, scopes={Scope.WRITE})
    await stranger.sign_in(WRITER)

    shown = (await stranger.get("/ui")).text

    assert "needs a key with the scope <code>read</code>" in shown
    assert "To the conversations" not in shown
    assert 'action="/ui/search"' not in shown
    assert "Sign in with another key" in shown
    assert 'action="/ui/leave"' in shown


async def test_addresses_that_do_not_exist(reader: Reader) -> None:
    """An address that only looks like a page is none, so that no cache takes it for a file."""
    for path in ("/ui/x", "/ui/c/1.css", "/ui/c/1;a.js", "/ui/users%2F..%2Fx", "/ui/users/a.css"):
        answer = await reader.get(path)
        assert answer.status_code in (404, 422), path
        assert answer.headers["content-type"].startswith("text/html")


async def test_a_stroke_too_many(stranger: Reader) -> None:
    """Who types one behind the address of the page gets there all the same."""
    answer = await stranger.get("/ui/?user=ann")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui?user=ann")


async def test_who_has_lost_the_way_still_has_all_rooms(reader: Reader) -> None:
    """Where nothing is, the rooms are, and nothing asks to try again what cannot be."""
    shown = (await reader.get("/ui/c/999")).text
    assert 'href="/ui/calls"' in shown
    assert "Try again" not in shown


async def test_preferences(reader: Reader) -> None:
    """Language and theme are remembered, and only those that there are."""
    await reader.post("/ui/preferences", language="zh", next="/ui")
    await reader.post("/ui/preferences", theme="dark", next="/ui")
    await reader.post("/ui/preferences", theme="<script>", language="xx")
    shown = await reader.get("/ui")
    assert '<html lang="zh-CN" data-theme="dark">' in shown.text
    assert "导出全部会话" in shown.text


async def test_the_language_of_the_browser(stranger: Reader) -> None:
    """Without a choice the browser's language counts."""
    shown = await stranger.get("/ui", accept_language="zh-CN,zh;q=0.9")
    assert "本代理的密钥" in shown.text
