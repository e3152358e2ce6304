"""Whom a trusted proxy may name as the caller."""

import pytest
from starlette.types import Receive, Scope, Send

from officeai_proxy.server.forwarded import BehindProxies

PEER = ("10.0.0.1", 4321)


class Listening:
    """Stands for the application; remembers who called it."""

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        self.scope = scope


async def caller(*values: str, peer: tuple[str, int] = PEER, trusted: str = "10.0.0.0/8") -> str:
    """The address that counts when *peer* sends these values of X-Forwarded-For."""
    application = Listening()
    behind = BehindProxies(application, trusted)  # type: ignore[arg-type]  # a fake
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in values]
    scope: Scope = {"type": "http", "client": peer, "scheme": "http", "headers": headers}
    await behind(scope, None, None)  # type: ignore[arg-type]  # nobody asks for them
    assert "peer" not in application.scope
    assert scope["client"] == peer
    return str(application.scope["client"][0])


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7:5555"], "203.0.113.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:443"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "::ffff:203.0.113.7"),
        (["made up, 203.0.113.7, 10.0.0.9"], "203.0.113.7"),
        (["made up", "203.0.113.7"], "203.0.113.7"),
    ],
)
async def test_an_address_is_believed(values: list[str], address: str) -> None:
    """With a port or brackets too; the nearest one that is no proxy of ours."""
    assert await caller(*values) == address


@pytest.mark.parametrize(
    "value",
    [
        "ev/il1",
        "x" * 65,
        "x" * 50_000,
        "unknown",
        "_hidden",
        "example.org",
        "203.0.113.7, made up",
        "203.0.113.7.1",
        "203.0.113.7:port",
        "[2001:db8::7",
        "fe80::1%" + "z" * 5000,
        "10.0.0.1/8",
        "\xb9.2.3.4",
        "",
    ],
)
@pytest.mark.parametrize("trusted", ["10.0.0.1", "*"])
async def test_what_is_no_address_is_not_believed(value: str, trusted: str) -> None:
    """The address of the peer counts, as if it had said nothing."""
    if trusted == "*":
        value = value.partition(", ")[2] or value
    assert await caller(value, trusted=trusted) == PEER[0]


async def test_a_stranger_is_not_believed() -> None:
    """Who is no trusted proxy is the caller, whatever it says."""
    assert await caller("203.0.113.7", peer=("192.0.2.1", 1)) == "192.0.2.1"
