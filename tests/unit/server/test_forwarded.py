"""Whom a trusted proxy may name as the caller, and what callers are called."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from officeai_proxy.server.connection import Connection
from officeai_proxy.server.forwarded import BehindProxies
from officeai_proxy.server.patience import Limits, Patience
from officeai_proxy.settings import Settings

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
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["0:0:0:0:0:FFFF:cb00:7107"], "203.0.113.7"),
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


@pytest.mark.parametrize("trusted", ["::ffff:10.0.0.1", "192.0.2.1, ::ffff:10.0.0.1", "*"])
async def test_a_proxy_is_trusted_however_its_address_is_written(trusted: str) -> None:
    """As IPv6 it may stand in the settings of whoever found it so in the log of calls."""
    assert await caller("203.0.113.7", trusted=trusted) == "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::7%eth0", "fe80::7%eth0"),
    ],
)
async def test_a_peer_has_one_name(tmp_path: Path, peer: str, address: str) -> None:
    """Also where the program listens on `::`, for which all IPv4 addresses are some of IPv6."""
    config = Config(Listening(), http=HttpToolsProtocol, log_config=None)  # type: ignore[arg-type]  # a fake
    config.load()
    patience = Patience(Limits.of(Settings(data_dir=tmp_path)))
    connection = Connection(config, ServerState(), {}, patience=patience)

    connection.connection_made(asyncio.Transport({"peername": (peer, 4321)}))

    assert connection.client == (address, 4321)
