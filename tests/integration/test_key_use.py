"""Hosts that share a PostgreSQL database share the limits of their keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.auth.limits.sharing import UseSharing
from officeai_proxy.errors import DatabaseUnavailable, RequestsLimited
from officeai_proxy.model import HostUse, Limits
from officeai_proxy.storage.access.key_use import KeyUseBoard
from officeai_proxy.storage.database import Database

on_postgresql = pytest.mark.parametrize("prepared_url", ["postgresql"], indirect=True)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Ledger]]:
    ledgers = [Ledger(tmp_path / name / "limits") for name in ("one", "two")]
    yield ledgers
    for ledger in ledgers:
        ledger.close()


def sharing(ledger: Ledger, board: object, folder: Path) -> UseSharing:
    return UseSharing(ledger, board, directory=folder / "limits", accounts=lambda: {"key"})  # type: ignore[arg-type]  # fakes too


@on_postgresql
async def test_what_one_host_used_is_missing_on_the_other(
    database: Database, hosts: list[Ledger], tmp_path: Path
):
    """After an exchange each host refuses what both have used up; nothing counts twice."""
    board = KeyUseBoard(database)
    one, two = (
        sharing(ledger, board, tmp_path / name)
        for ledger, name in zip(hosts, ("one", "two"), strict=True)
    )
    limits = Limits(rpm=3, concurrency=2)
    running = hosts[0].admit("key", limits)
    hosts[0].admit("key", limits).settle(0)
    for _ in range(3):
        await one.exchange()
        await two.exchange()

    lease = hosts[1].admit("key", limits)
    assert dict(lease.headers)[b"x-ratelimit-remaining-requests"] == b"0"
    with pytest.raises(RequestsLimited, match="concurrent"):
        hosts[1].admit("key", limits)
    running.settle(0)
    lease.settle(0)
    await two.exchange()
    await one.exchange()
    with pytest.raises(RequestsLimited, match="Used 3"):
        hosts[0].admit("key", limits)


@on_postgresql
async def test_told_again_is_told_anew(database: Database):
    """What a host tells takes the place of what it told before; others hear how old it is."""
    board = KeyUseBoard(database)
    await board.tell("a", [HostUse(account="k", running=2, requests=[1], tokens=[5])])
    await board.tell("a", [HostUse(account="k", running=0, requests=[0, 1], tokens=[])])

    (heard,) = await board.hear("b")
    assert (heard.running, heard.requests, heard.tokens) == (0, [0, 1], [])
    assert 0 <= heard.age < 30
    assert await board.hear("a") == []


class Away:
    """A board that nobody can reach."""

    async def tell(self, *_: object) -> None:
        raise DatabaseUnavailable

    async def hear(self, *_: object) -> list[HostUse]:
        raise DatabaseUnavailable


async def test_while_the_database_is_away_limits_of_the_host_go_on(
    hosts: list[Ledger], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """An outage is one line in the log; each host goes on with what it knows."""
    one = sharing(hosts[0], Away(), tmp_path / "one")
    hosts[0].admit("key", Limits(rpm=1)).settle(0)
    await one.exchange()
    await one.exchange()

    assert caplog.text.count("on this host alone") == 1
    with pytest.raises(RequestsLimited):
        hosts[0].admit("key", Limits(rpm=1))
