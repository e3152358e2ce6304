"""A start while the database is away: managed keys go on, or it is said why they do not."""

from pathlib import Path

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import until
from tests.proxies import RunningProxy

pytestmark = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


def a_call(proxy: RunningProxy, key: str) -> int:
    with proxy.client("s1", "ann") as client:
        return client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "hello"}]},
            headers={"Authorization": f"Bearer {key}"},
        ).status_code


def key_in(proxy: RunningProxy) -> str:
    return next(word for word in proxy.banner.split() if word.startswith("sk-oai-"))


def take_away(proxy: RunningProxy) -> Path:
    """Put something in the place of its database that nobody can open, nor make one there."""
    data = proxy.folder / "data"
    (data / "officeai.db").rename(data / "taken")
    (data / "officeai.db").symlink_to(data / "nowhere" / "officeai.db")
    return data


def test_managed_keys_go_on_without_the_database(start_proxy: StartProxy) -> None:
    """Calls are served and kept, strange keys have to wait, and all is stored once it is back."""
    first = start_proxy(API_KEYS="", DATABASE_URL="")
    key = key_in(first)
    assert a_call(first, key) == 200
    assert first.stop() == 0
    data = take_away(first)

    again = start_proxy(API_KEYS="", DATABASE_URL="", DATA_DIR=str(data))

    assert "as this host knew them last" in again.banner
    assert "could be made" not in again.banner
    assert a_call(again, key) == 200
    assert a_call(again, "sk-oai-another") == 503
    assert again.get("/health/ready").status_code == 200
    # In one step: the program, which looks for it all the time, would make a new one in between.
    (data / "taken").replace(data / "officeai.db")
    again.key = key
    messages = "/conversations/s1/messages"
    until(lambda: len(again.get(messages, user="ann").json().get("data", ())) == 4)
    assert again.stop() == 0


def test_keys_that_nobody_knows_are_told(start_proxy: StartProxy) -> None:
    """Without a copy of them the probe says no, and health and banner say why."""
    first = start_proxy(API_KEYS="", DATABASE_URL="")
    key = key_in(first)
    assert first.stop() == 0
    data = take_away(first)
    (data / "managed-keys.json").unlink()

    again = start_proxy(API_KEYS="", DATABASE_URL="", DATA_DIR=str(data))

    assert "none is known while the database is away" in again.banner
    assert a_call(again, key) == 503
    assert again.get("/health/ready").status_code == 503
    assert any("no copy of its keys" in reason for reason in again.get("/health").json()["reasons"])
    assert again.stop() == 0
