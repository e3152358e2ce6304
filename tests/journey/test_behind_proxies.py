"""Callers that come through a trusted proxy, on every way of an address into the database."""

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import chat, record_of

CHATS = "/v1/chat/completions"


@pytest.mark.parametrize("value", ["x" * 65, "ev/il1", "x" * 20_000])
def test_what_is_no_address_names_nobody(start_proxy: StartProxy, value: str) -> None:
    """A call is stored under the proxy's address, and reads, which are audited, are answered."""
    proxy = start_proxy(TRUSTED_PROXIES="127.0.0.1")
    with proxy.client("s") as client:
        client.headers["X-Forwarded-For"] = value
        assert client.post(CHATS, content=chat("hi")).status_code == 200
        assert client.get("/conversations/s").status_code == 200
        assert client.get("/conversations").status_code == 200
        assert client.get("/ui/c/1").status_code == 401
        users = client.get("/users").json()["data"]
        entries = client.get("/audit").json()["data"]

    assert record_of(proxy)["user"] == "127.0.0.1"
    assert [user["user_identifier"] for user in users] == ["127.0.0.1"]
    assert {entry["client_ip"] for entry in entries} == {"127.0.0.1"}


def test_an_address_names_the_user(start_proxy: StartProxy) -> None:
    """It counts in calls that are read first and in those that are passed on as they come."""
    proxy = start_proxy(TRUSTED_PROXIES="127.0.0.1")
    with proxy.client("s") as client:
        client.headers["X-Forwarded-For"] = "[2001:db8::7]:443"
        assert client.post(CHATS, content=chat("hi")).status_code == 200

    assert record_of(proxy)["user"] == "2001:db8::7"
