"""Who may do what, for every route there is: keys, scopes, and the walls between workspaces.

The routes come from the application, so that a new one is tested by being there.
"""

import re
from typing import Any

import httpx
import pytest
from tests.security.estate import (
    BOBS,
    BOUND,
    CHIEF,
    EXPIRED,
    MEMBER,
    ONLY,
    REVOKED,
    SECRET,
    STRANGER,
    UNKNOWN,
    WITHOUT,
    Estate,
    Names,
    Principal,
)
from tests.security.inventory import HOT_PATH, Route, open_routes, routes

from officeai_proxy.model import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = routes()
BEHIND_WALLS = [route for route in ROUTES if not route.path.startswith(HOT_PATH)]

UNSTABLE = {"/audit", "/metrics"}
"""Routes whose answers change by being asked, or with time."""

OF_ALL = {"/metrics"}
"""Routes about the whole program, which name no workspace and nothing in one."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?)?")
_NUMBERED = re.compile(r'"(id|parent_id)": ?(\d+|"key_\w+")')
_MADE_KEY = re.compile(r"sk-oai-[\w…-]+|key_\w+")


def every(found: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", found, ids=str)


def plain(response: httpx.Response, names: Names) -> tuple[int, dict[str, str], str]:
    """*response* without what must differ: the names asked for, times, numbers of rows."""
    text = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    body = response.text
    for value in sorted(vars(names).values(), key=len, reverse=True):
        text, body = text.replace(value, "<name>"), body.replace(value, "<name>")
    body = _NUMBERED.sub("<number>", _TIME.sub("<time>", body))
    headers = dict(line.split(": ", 1) for line in _TIME.sub("<time>", text).splitlines())
    for varying in ("content-length", "x-exchange-id"):
        headers.pop(varying, None)
    return response.status_code, headers, _MADE_KEY.sub("<key>", body)


def error_code(response: httpx.Response) -> str:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])


async def sent(
    estate: Estate, principal: Principal, route: Route, names: Names, *extra: str
) -> httpx.Response:
    """The answer to *principal*, in which nothing stands that this one must not see."""
    client = estate.client(principal)
    request = route.request(client, names, *extra)
    response = await client.send(request)
    asked = str(request.url) + request.content.decode()
    for secret in principal.secrets:
        # A search may repeat the word that it was asked for.
        assert secret in asked or secret not in response.text, f"{route} {extra}"
        assert secret not in str(response.headers)
    assert response.status_code < 500, response.text
    return response


@every(ROUTES)
async def test_no_route_opens_without_a_good_key(estate: Estate, route: Route) -> None:
    """No key, an unknown, an expired and a revoked one get a 401; the last three the same one."""
    names = await estate.own(lasting=True)
    answers = []
    for principal in (None, UNKNOWN, EXPIRED, REVOKED):
        client = estate.stranger(f"Bearer {principal.key}" if principal else None)
        response = await client.send(route.request(client, names))
        assert (response.status_code, error_code(response)) == (401, "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"
        answers.append((response.text, dict(response.headers)))

    assert answers[1] == answers[2] == answers[3]


@every(open_routes())
async def test_open_routes_are_open_and_tell_nothing(estate: Estate, route: Route) -> None:
    """Whoever has no key may read these, and finds nothing of anybody's in them."""
    response = await estate.client(None).request(route.method, route.path)

    # The host's name alone leads to the page, which has a door of its own.
    assert response.status_code == (307 if route.path == "/" else 200)
    assert response.headers.get("location") == ("/ui" if route.path == "/" else None)
    assert SECRET not in response.text
    assert "sk-upstream-secret" not in response.text


@every(ROUTES)
async def test_the_declared_scope_is_needed_and_enough(estate: Estate, route: Route) -> None:
    """A key with everything else gets a 403; one with nothing else gets in."""
    own = await estate.own(lasting=route.is_reading)
    [needed] = route.scopes
    client = estate.client(WITHOUT[needed])
    refused = await client.send(route.request(client, own))
    served = await sent(estate, ONLY[needed], route, own)

    assert (refused.status_code, error_code(refused)) == (403, "not_allowed")
    assert f"`{needed}`" in refused.text
    # What a key may give to another is limited by what it may do itself.
    assert served.status_code != 401
    assert served.status_code != 403 or "needs a key with the scope" not in served.text


@every(BEHIND_WALLS)
async def test_own_things_can_be_reached(estate: Estate, route: Route) -> None:
    """The calls of this matrix are good ones: with own names they are answered."""
    own = await estate.own(lasting=route.is_reading, binned=route.is_restoring)
    response = await sent(estate, CHIEF, route, own)

    # What is to be created may be there already.
    assert response.status_code in (200, 201, 204, 409), response.text


async def assert_foreign_is_unknown(
    estate: Estate, principal: Principal, route: Route, *extras: str
) -> None:
    foreign = await estate.foreign(principal, lasting=route.is_reading, binned=route.is_restoring)
    unknown = estate.unknown(foreign)
    owner = STRANGER if principal.user is None else BOBS
    before = None if route.is_reading else await estate.fingerprint(foreign, owner)
    if route.path == "/conversations/import":
        # What is imported is new once, and known from then on, whoever else has it.
        await sent(estate, principal, route, unknown)

    for extra in [(), *((name,) for name in extras)]:
        theirs = await sent(estate, principal, route, foreign, *extra)
        nowhere = await sent(estate, principal, route, unknown, *extra)
        if extra or route.path not in UNSTABLE:
            assert plain(theirs, foreign) == plain(nowhere, unknown), extra

    if before is not None:
        assert await estate.fingerprint(foreign, owner) == before


@every(BEHIND_WALLS)
@pytest.mark.parametrize("principal", [CHIEF, BOUND], ids=lambda one: one.name)
async def test_foreign_is_unknown(estate: Estate, principal: Principal, route: Route) -> None:
    """Another workspace's session, user, word, call or key is answered like one that is nowhere,
    and so is another user's for a key that is bound to one; and nothing foreign changes.
    """
    # An admin may name another workspace; see below.
    extras = [name for name in route.identifying() if name != "workspace"]
    await assert_foreign_is_unknown(estate, principal, route, *extras)


@every([route for route in BEHIND_WALLS if "workspace" in route.identifying()])
async def test_a_foreign_workspace_is_unknown(estate: Estate, route: Route) -> None:
    """Only an admin may name another workspace; others do not even learn which there are."""
    await assert_foreign_is_unknown(estate, MEMBER, route, "workspace")


async def test_what_others_do_changes_nothing_that_one_sees(estate: Estate) -> None:
    """Lists, counts, searches and exports are the same whatever stands in another workspace, even
    under the same session, user and words.
    """
    own = await estate.own()
    asked = [
        one
        for one in BEHIND_WALLS
        if one.is_reading and "{" not in one.path and one.path not in OF_ALL
    ]

    async def seen() -> dict[str, object]:
        return {one.path: plain(await sent(estate, CHIEF, one, own), own) for one in asked}

    before, again = await seen(), await seen()
    steady = {path for path in before if before[path] == again[path]}
    assert before.keys() - steady <= UNSTABLE
    await estate.put(STRANGER, own.session, user=own.user, secret=SECRET)
    await estate.call(STRANGER, f"{own.session}-call", user=own.user, text=f"question {SECRET}")
    assert SECRET in (await estate.client(STRANGER).get("/conversations")).text
    after = await seen()

    assert {path: after[path] for path in steady} == {path: before[path] for path in steady}


@every([route for route in BEHIND_WALLS if "cursor" in str(route.operation.get("parameters"))])
async def test_a_foreign_cursor_opens_nothing(estate: Estate, route: Route) -> None:
    """The cursor of another workspace's page leads to one's own pages, or to a refusal."""
    own = await estate.own(lasting=True)
    foreign = await estate.foreign(CHIEF, lasting=True)
    request = route.request(estate.client(STRANGER), foreign)
    page = await estate.client(STRANGER).get(
        str(request.url), params={**request.url.params, "limit": "1"}
    )
    cursor = page.json().get("next_cursor") if page.status_code == 200 else None

    client = estate.client(CHIEF)
    asked = route.request(client, own)
    answer = await client.get(
        str(asked.url), params={**asked.url.params, "cursor": cursor or "forged"}
    )

    assert answer.status_code in (200, 422)
    assert SECRET not in answer.text


async def test_a_call_under_a_foreign_session_is_a_conversation_of_its_own(estate: Estate) -> None:
    """The name of somebody else's session gives no access to it, neither to read nor to write."""
    foreign = await estate.foreign(CHIEF)
    before = await estate.fingerprint(foreign, STRANGER)

    await estate.call(CHIEF, foreign.session, user=foreign.user, text="mine")
    mine = await estate.client(CHIEF).get(f"/conversations/{foreign.session}")

    assert [one["content"] for one in mine.json()["messages"]] == ["mine", "echo: mine"]
    assert await estate.fingerprint(foreign, STRANGER) == before


async def test_a_bound_key_is_its_user_and_nobody_else(estate: Estate) -> None:
    """A call that names another user is refused; one that names none is the key's user's."""
    client = estate.client(BOUND)
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    refused = await client.post("/v1/chat/completions", json=chat, headers={"X-User-ID": "bob"})

    assert (refused.status_code, error_code(refused)) == (403, "not_allowed")


@pytest.mark.parametrize("path", sorted(OF_ALL))
async def test_a_bound_key_is_not_told_of_everybody(estate: Estate, path: str) -> None:
    """What counts the whole program is refused to a key that is bound to a user."""
    refused = await estate.client(BOUND).get(path)

    assert (refused.status_code, error_code(refused)) == (403, "not_allowed")
    assert (await estate.client(CHIEF).get(path)).status_code == 200


CHANNELS: dict[str, dict[str, Any]] = {
    "query": {"params": {"api_key": CHIEF.key, "key": CHIEF.key, "access_token": CHIEF.key}},
    "x-api-key": {"headers": {"X-API-Key": CHIEF.key, "Api-Key": CHIEF.key}},
    "cookie": {"headers": {"Cookie": f"session={CHIEF.key}; key={CHIEF.key}"}},
    "basic": {"headers": {"Authorization": f"Basic {CHIEF.key}"}},
    "proxy": {"headers": {"Proxy-Authorization": f"Bearer {CHIEF.key}"}},
    "no-scheme": {"headers": {"Authorization": CHIEF.key}},
}


@pytest.mark.parametrize("path", ["/conversations", "/v1/models"])
@pytest.mark.parametrize("given", CHANNELS.values(), ids=CHANNELS)
async def test_a_key_counts_only_where_it_belongs(
    estate: Estate, given: dict[str, Any], path: str
) -> None:
    """A good key anywhere but in `Authorization: Bearer` is no key."""
    response = await estate.stranger().get(path, **given)

    assert (response.status_code, error_code(response)) == (401, "invalid_api_key")
    assert CHIEF.key not in response.text


TAMPERED = [
    ("GET", "/Conversations"),
    ("GET", "/conversations/%2e%2e/users"),
    # With a host: the client would take the first name behind two strokes for one.
    ("GET", "http://test//conversations"),
    ("GET", "/conversations.css"),
    ("GET", "/conversations/s-call;.css"),
    ("GET", "/conversations%2Fs-call"),
    ("HEAD", "/conversations"),
    ("POST", "/users"),
    ("PROPFIND", "/conversations"),
    ("GET", "/history/"),
]


@pytest.mark.parametrize(("method", "path"), TAMPERED)
async def test_tampering_with_method_or_address_opens_nothing(
    estate: Estate, method: str, path: str
) -> None:
    """Whoever has no key gets no data by any other spelling of an address."""
    for principal in (None, ONLY[Scope.CHAT]):
        client = estate.client(principal) if principal else estate.stranger()
        response = await client.request(method, path)
        assert response.status_code in (401, 403, 404, 405)
        assert "location" not in response.headers
        assert SECRET not in response.text


async def test_forwarded_headers_and_hosts_change_nobody(estate: Estate) -> None:
    """What a caller says about hosts and addresses gives no rights and moves no route."""
    lies = {
        "Host": "evil.example/health?",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "X-Original-URL": "/health",
        "X-Rewrite-URL": "/health",
        "X-HTTP-Method-Override": "GET",
        "Forwarded": "for=127.0.0.1;host=evil.example",
    }
    refused = await estate.stranger().get("/conversations", headers=lies)
    served = await estate.client(CHIEF).get("/conversations", headers=lies)

    assert (refused.status_code, served.status_code) == (401, 200)
    assert "evil.example" not in str(refused.headers) + refused.text
    assert "evil.example" not in str(served.headers) + served.text
