"""Every route of the running program leaves its row in the audit log, and nothing said is in it."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.journey.test_command_line import run
from tests.proxies import KEY, RunningProxy

from officeai_proxy.app import create_app
from officeai_proxy.settings import load_settings

CONTENT = "canary-content-51d2"
TITLE = "canary-title-8c03"
QUERY = "canary-query-77aa"

CHAT = {"session_id": "demo", "user_identifier": "ann", "title": TITLE}

# What each route leaves; one that is new here has to say it.
LEAVES = {
    "GET /conversations/search": "message.search",
    "GET /conversations/export-all": "workspace.export",
    "GET /conversations/{session_id}/export": "conversation.export",
    "GET /users/{user}/export": "user.export",
    "POST /conversations/import": "workspace.import",
    "POST /conversations/": "conversation.create",
    "GET /conversations/user/{user}": "conversation.list",
    "GET /conversations": "conversation.list",
    "DELETE /conversations": "user.clear",
    "GET /conversations/{session_id}": "conversation.read",
    "PATCH /conversations/{session_id}": "conversation.change",
    "PUT /conversations/{session_id}": "conversation.change",
    "DELETE /conversations/{session_id}": "conversation.bin",
    "POST /conversations/{session_id}/restore": "conversation.restore",
    "GET /conversations/{session_id}/messages": "message.list",
    "POST /conversations/{session_id}/messages": "message.add",
    "GET /users": "user.list",
    "GET /users/{user}": "user.read",
    "DELETE /users/{user}": "user.erase",
    "GET /history": "call.list",
    "GET /stats": "call.statistics",
    "POST /keys": "key.create",
    "GET /keys": "key.list",
    "POST /keys/{key_id}/rotate": "key.rotate",
    "DELETE /keys/{key_id}": "key.revoke",
    "GET /audit": "audit.list",
    "GET /session/history": "conversation.read",
    "GET /session/history/all": "conversation.list",
    "GET /session/history/export": "workspace.export",
    "GET /api/conversations/export-all": "workspace.export",
    "GET /api/conversations/{session_id}/export": "conversation.export",
    "GET /api/conversations/{session_id}": "conversation.read",
    "DELETE /api/conversations/{session_id}": "conversation.bin",
    "GET /api/v1/chat/history": "message.list",
    "DELETE /api/v1/chat/history": "conversation.bin",
}

# Probes, numbers without names, and the calls themselves, which have a log of their own.
LEAVE_NONE = re.compile(r"/health|/metrics|/v1/|/docs|/openapi")

QUERIES: dict[str, dict[str, str]] = {
    "GET /conversations/search": {"q": QUERY},
    "DELETE /conversations": {"user_identifier": "ann", "confirm": "ann"},
    "GET /session/history": {"session_id": "demo"},
    "GET /api/v1/chat/history": {"session_id": "demo"},
    "DELETE /api/v1/chat/history": {"session_id": "demo"},
}

BODIES: dict[str, Any] = {
    "POST /conversations/": {**CHAT, "session_id": "another"},
    "POST /conversations/import": {"session_id": "in", "messages": []},
    "POST /conversations/{session_id}/messages": {"role": "user", "content": CONTENT},
    "PUT /conversations/{session_id}": {"title": TITLE},
    "PATCH /conversations/{session_id}": {"title": TITLE},
    "POST /keys": {"name": "laptop"},
    "POST /keys/{key_id}/rotate": {},
}


def routes() -> list[str]:
    """Every documented route, from the application itself."""
    paths = create_app(load_settings(_env_file=None)).routes.openapi()["paths"]
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in item]


AUDITED = [route for route in routes() if not LEAVE_NONE.match(route.partition(" ")[2])]


def log_of(proxy: RunningProxy) -> Iterator[tuple[Any, ...]]:
    """The rows of the log, oldest first, straight from the file."""
    with closing(sqlite3.connect(proxy.folder / "data" / "officeai.db")) as connection:
        yield from connection.execute(
            "SELECT id, action, actor, client_ip, user_identifier, target, detail "
            "FROM audit_log ORDER BY id"
        ).fetchall()


def prepare(proxy: RunningProxy, route: str) -> str:
    """Make everything that *route* may need; the id of a key."""
    with proxy.client() as client:
        client.delete("/conversations/another?permanent=true")
        client.post("/conversations/", json=CHAT)
        client.post("/conversations/demo/messages", json={"role": "user", "content": CONTENT})
        if route.endswith("/restore"):
            client.delete("/conversations/demo")
        return str(client.post("/keys", json={"name": "k"}).json()["id"])


def test_every_route_is_known_here() -> None:
    """A new route has to say which row it leaves, and none is listed that is not there."""
    assert set(LEAVES) == set(AUDITED)


@pytest.mark.parametrize("route", AUDITED)
def test_a_route_leaves_its_row(shared: RunningProxy, route: str) -> None:
    """Who, what, from where; one row, or two for what is begun and ended; before the answer."""
    key_id = prepare(shared, route)
    before = max((row[0] for row in log_of(shared)), default=0)
    method, path = route.split()
    given = {"session_id": "demo", "user": "ann", "key_id": key_id}

    with shared.client() as client:
        answer = client.request(
            method, path.format(**given), params=QUERIES.get(route), json=BODIES.get(route)
        )

    assert answer.status_code < 300, answer.text
    new = [row for row in log_of(shared) if row[0] > before]
    assert 1 <= len(new) <= 2
    assert {row[1] for row in new} == {LEAVES[route]}
    assert {row[2:4] for row in new} == {("configured-1", "127.0.0.1")}
    if "{session_id}" in path:
        assert new[-1][4:6] == ("ann", "demo")


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/docs"])
def test_what_is_open_leaves_none(shared: RunningProxy, path: str) -> None:
    """Probes and the page of the API are not written down."""
    before = len(list(log_of(shared)))

    assert shared.get(path).status_code == 200

    assert len(list(log_of(shared))) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/conversations/nobodys-7f"), ("DELETE", "/keys/nobodys-7f"), ("GET", "/users/no-7f")],
)
def test_what_is_refused_leaves_a_sealed_row(shared: RunningProxy, method: str, path: str) -> None:
    """Who asked for what is not there is written down, but not the text that they asked for."""
    with shared.client() as client:
        assert client.request(method, path).status_code == 404

    *_, last = log_of(shared)
    assert last[4:] == (None, None, '{"refused":"not_found"}')
    assert b"-7f" not in b"".join(
        file.read_bytes() for file in (shared.folder / "data").glob("officeai.db*")
    )


def test_clearing_nothing_names_nobody(shared: RunningProxy) -> None:
    """Somebody who was erased is not in the log again because their history is cleared."""
    params = {"user_identifier": "gone-7f", "confirm": "gone-7f"}
    with shared.client() as client:
        assert client.delete("/conversations", params=params).json() == {"deleted": 0}

    *_, last = log_of(shared)
    assert (last[1], *last[4:]) == ("user.clear", None, None, '{"conversations":0}')


def test_an_import_that_is_refused_has_an_end(shared: RunningProxy) -> None:
    """Otherwise it would look like one that broke off, or still runs."""
    with shared.client() as client:
        assert client.post("/conversations/import", content=b"hello").status_code == 422

    *_, begun, ended = log_of(shared)
    assert (begun[1], begun[6]) == ("workspace.import", '{"stage":"begun"}')
    assert ended[1] == "workspace.import"
    assert ended[6] == '{"refused":"invalid_value","stage":"ended"}'


def test_a_key_that_may_not_leaves_a_row(shared: RunningProxy) -> None:
    """A key that lacks a scope is refused, and that it tried is written down."""
    with shared.client() as client:
        made = client.post("/keys", json={"name": "chat only", "scopes": ["chat"]}).json()
        authorization = {"Authorization": f"Bearer {made['key']}"}
        answer = client.get("/audit", headers=authorization)

    assert answer.status_code == 403
    *_, last = log_of(shared)
    assert last[1:3] == ("audit.list", made["id"])
    assert last[6] == '{"refused":"not_allowed"}'


def test_a_list_of_what_was_done(shared: RunningProxy) -> None:
    """`GET /audit` has the usual shape; each row says what it is about."""
    prepare(shared, "")
    shared.get("/conversations/demo")

    listed = shared.get("/audit", action="conversation.read", limit="1").json()

    [row] = listed["data"]
    assert set(listed) >= {"object", "total", "limit", "offset", "has_more", "next_cursor"}
    assert row["user_identifier"] == "ann"
    assert row["target"] == "demo"
    assert row["detail"]["messages"] >= 1
    assert row["actor"] == "configured-1"


def test_nothing_said_and_no_key_is_in_the_log(shared: RunningProxy) -> None:
    """After all routes: neither messages, titles, searches nor keys are in any row."""
    prepare(shared, "")
    shared.get("/conversations/search", q=QUERY)

    written = "\n".join(map(repr, log_of(shared)))

    for canary in (CONTENT, TITLE, QUERY, KEY, "sk-oai-"):
        assert canary not in written


def test_the_whole_chain_holds(shared: RunningProxy) -> None:
    """The command says that the log is whole, and where it ends; that end is found again."""
    settings = {"DATA_DIR": str(shared.folder / "data")}
    prepare(shared, "")

    told = run("audit", "verify", folder=shared.folder, **settings)
    head = told.stdout.splitlines()[-1]
    shared.get("/users")
    again = run("audit", "verify", "--head", head, folder=shared.folder, **settings)
    wrong = run("audit", "verify", "--head", f"3:{'0' * 64}", folder=shared.folder, **settings)
    listed = run("audit", "list", "--limit", "1", folder=shared.folder, **settings)

    assert (told.returncode, again.returncode, wrong.returncode) == (0, 0, 1), told.stdout
    assert "is whole" in told.stdout
    assert "row 3 is not the one that was there before" in wrong.stdout
    assert "user.list" in listed.stdout
