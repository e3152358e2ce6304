"""What every answer of our own routes carries, and what no client can put into one."""

import re

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from tests.security.estate import CHIEF, Estate
from tests.security.inventory import HOT_PATH, Route, open_routes, routes

from officeai_proxy.page.application import ROUTERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES, OPEN = routes(), open_routes()

# The upstream's bytes pass as they are.
OURS = [*OPEN, *(route for route in ROUTES if not route.path.startswith(HOT_PATH))]

PAGES = ("/ui", "/docs")
"""Pages may run their own scripts, and keep their own files for ever."""

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}

FROM_HERE = {"Sec-Fetch-Site": "same-origin"}

FORBIDDEN = ("server", "x-powered-by", "access-control-allow-origin", "set-cookie")


def assert_guarded(response: httpx.Response) -> None:
    """Check the headers of one answer."""
    given = response.headers
    where = f"{response.request.method} {response.request.url} {response.status_code}"
    assert {name: given.get(name) for name in ALWAYS} == ALWAYS, where
    assert "frame-ancestors 'none'" in given["content-security-policy"], where
    assert "default-src 'none'" in given["content-security-policy"], where
    assert "unsafe-" not in given["content-security-policy"], where
    assert [name for name in FORBIDDEN if name in given] == [], where
    for name in given:
        assert len(given.get_list(name)) == 1, f"{name} twice: {where}"
    if not response.request.url.path.startswith(PAGES):
        assert given["cache-control"] == "no-store", where


@pytest.mark.parametrize("route", OURS, ids=str)
async def test_every_answer_is_guarded(estate: Estate, route: Route) -> None:
    """Answers and refusals of each route tell a browser not to guess, keep, frame or share."""
    own = await estate.own(lasting=True)
    request = route.request(estate.stranger(), own)
    assert_guarded(await estate.stranger().send(request))
    if route.is_reading:
        assert_guarded(await estate.client(CHIEF).send(route.request(estate.client(CHIEF), own)))


PAGE = [
    route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and "GET" in route.methods
]


def parameters(dependant: Dependant) -> list[str]:
    """What a route and all that it depends on read of an address's query."""
    inner = [name for one in dependant.dependencies for name in parameters(one)]
    return [*inner, *(one.alias for one in dependant.query_params)]


async def a_browser(estate: Estate) -> httpx.AsyncClient:
    """Somebody who is signed in on the page, with the rights of our workspace's admin."""
    browser = estate.stranger()
    entered = await browser.post("/ui/enter", data={"key": CHIEF.key}, headers=FROM_HERE)
    assert entered.status_code == 303
    return browser


async def test_every_address_of_the_page_is_answered(estate: Estate) -> None:
    """Whatever the page shows or asks about one's own things can be read, on each database."""
    own = await estate.own(lasting=True)
    listed = await estate.client(CHIEF).get(f"/conversations/{own.session}")
    values = {"number": str(listed.json()["id"]), "key_id": own.key, "name": "none"}
    asked = {"session": own.session, "user": own.user}
    browser = await a_browser(estate)

    failed = {}
    for route in PAGE:
        path = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], route.path)
        answer = await browser.get(path, params=asked)
        if answer.is_error:
            failed[route.path] = answer.status_code

    assert failed == {"/ui/static/{name}": 404}


async def test_what_no_database_can_look_for_is_no_fault_of_the_page(estate: Estate) -> None:
    """A NUL in any part of an address of the page is refused, or is found nowhere."""
    browser = await a_browser(estate)
    needed = {"session": "s", "user": "u"}
    failed = []
    for route in PAGE:
        named = parameters(route.dependant)
        for name in named or [""]:
            path = re.sub(r"\{\w+\}", "1" if named else "%00", route.path)
            answer = await browser.get(path, params={**needed, name: "a\0b"} if name else needed)
            if answer.status_code >= 500:
                failed.append((route.path, name))
    form = {"user": "a\0b", "confirm": "a\0b"}
    sent = await browser.post("/ui/clear", data=form, headers=FROM_HERE)

    assert (failed, sent.status_code) == ([], 422)


REFUSED = [
    ("GET", "/nothing", 404),
    ("GET", "/conversations/s-nobodys", 404),
    ("BREW", "/conversations", 405),
    ("GET", "/conversations?limit=0", 422),
    ("POST", "/conversations/", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), REFUSED)
async def test_refusals_are_guarded_too(
    estate: Estate, method: str, path: str, status: int
) -> None:
    """What the framework itself refuses carries the same headers."""
    response = await estate.client(CHIEF).request(method, path)

    assert response.status_code == status
    assert_guarded(response)


async def test_the_upstreams_bytes_pass_without_our_headers(estate: Estate) -> None:
    """A reply of the upstream is the upstream's, also in its headers."""
    response = await estate.client(CHIEF).get("/v1/models")

    assert response.status_code == 200
    assert not {*ALWAYS, "content-security-policy"} & set(response.headers)


@pytest.mark.parametrize("path", ["/conversations", "/v1/models", "/health", "/docs"])
async def test_no_other_origin_is_let_in(estate: Estate, path: str) -> None:
    """Neither a preflight nor a request of another site's script gets leave to read."""
    origin = {"Origin": "https://evil.example"}
    asked = {**origin, "Access-Control-Request-Method": "GET"}
    preflight = await estate.client(None).request("OPTIONS", path, headers=asked)
    response = await estate.client(CHIEF).get(path, headers=origin)

    for answer in (preflight, response):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert preflight.status_code in (401, 404, 405)


NASTY = [
    "a\r\nX-Evil: 1",
    "a\nSet-Cookie: evil=1",
    "a\u2028X-Evil: 1",
    '"; filename="evil.exe',
    "../../etc/passwd",
    "\x00\x1b[2J",
    "\u202eexe.txt",
    "x" * 900,
]


@pytest.mark.parametrize("title", NASTY)
async def test_a_title_cannot_write_headers(estate: Estate, title: str) -> None:
    """Whatever a title holds, an export's `Content-Disposition` is one header with a safe name."""
    own = await estate.own()
    client = estate.client(CHIEF)
    stored = await client.patch(f"/conversations/{own.session}", json={"title": title})
    assert stored.status_code in (200, 422), stored.text

    response = await client.get(f"/conversations/{own.session}/export", params={"format": "txt"})

    assert response.status_code == 200
    assert_guarded(response)
    assert "x-evil" not in response.headers
    [disposition] = response.headers.get_list("content-disposition")
    assert disposition.isprintable()
    assert disposition.isascii()
    assert disposition.startswith("attachment; filename=")
    assert "/" not in disposition
    assert disposition.count('"') == 2
    assert len(disposition) < 4000


@pytest.mark.parametrize("name", ["X-Session-ID", "X-User-ID", "X-Record"])
@pytest.mark.parametrize("value", [b"a\nb: c", b"a\rb", b"a\x00b", "a\u2028b".encode(), b"\xff"])
async def test_a_label_cannot_write_headers(estate: Estate, name: str, value: bytes) -> None:
    """A name that could break out of its line is refused, and told without being repeated."""
    response = await estate.client(CHIEF).post(
        "/v1/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        headers=[(name.encode(), value)],
    )

    assert response.status_code == 400
    assert response.json()["error"]["param"] == name
    assert all(text.isprintable() for _, text in response.headers.items())


async def test_description_routes_and_inventory_agree(estate: Estate) -> None:
    """`/openapi.json` names every route that needs a key, and no other host."""
    description = (await estate.client(None).get("/openapi.json")).json()

    guarded = {(route.method, route.path): route for route in ROUTES}
    described = {
        (method.upper(), path) for path, item in description["paths"].items() for method in item
    }
    assert described <= guarded.keys() | {(route.method, route.path) for route in OPEN}
    for path, item in description["paths"].items():
        for method, operation in item.items():
            route = guarded.get((method.upper(), path))
            needed = [{"ApiKey": sorted(route.scopes)}] if route else []
            assert operation["security"] == needed, f"{method} {path}"
    assert "servers" not in description
