"""Patience gives up the slow and nobody else; time is what the test says it is."""

import asyncio
import pickle
import resource
import socket
from dataclasses import dataclass, field

import pytest

from officeai_proxy.server import running
from officeai_proxy.server.patience import Limits, Patience, Standing, Waiting
from officeai_proxy.settings import load_settings

HEAD_SECONDS, BODY_SECONDS, IDLE_SECONDS, READ_SECONDS = 15.0, 20.0, 75.0, 120.0
RATE = 100


@dataclass(eq=False)
class FakeConnection:
    """Stands where a test puts it, and remembers that it was given up."""

    now: Standing = field(default_factory=lambda: Standing(Waiting.FIRST))
    given_up: list[Waiting] = field(default_factory=list)

    def standing(self) -> Standing:
        return self.now

    def give_up(self, waiting: Waiting) -> None:
        self.given_up.append(waiting)


@pytest.fixture
def patience() -> Patience:
    """With room for two connections."""
    settings = load_settings(
        max_connections=2,
        header_timeout=HEAD_SECONDS,
        body_timeout=BODY_SECONDS,
        min_body_rate=RATE,
        keep_alive_timeout=IDLE_SECONDS,
        send_timeout=READ_SECONDS,
        _env_file=None,
    )
    return Patience(Limits.of(settings))


async def welcomed(patience: Patience) -> tuple[FakeConnection, float]:
    """A new connection, and the moment at which it came."""
    connection = FakeConnection()
    patience.welcome(connection)
    return connection, asyncio.get_running_loop().time()


LIMITS = [
    (Waiting.FIRST, HEAD_SECONDS),
    (Waiting.HEAD, HEAD_SECONDS),
    (Waiting.BODY, BODY_SECONDS),
    (Waiting.REST, BODY_SECONDS),
    (Waiting.NEXT, IDLE_SECONDS),
    (Waiting.READER, READ_SECONDS),
    (Waiting.GONE, READ_SECONDS),
]


@pytest.mark.parametrize(("waiting", "seconds"), LIMITS)
async def test_who_stands_still_is_given_up_at_the_deadline(
    patience: Patience, waiting: Waiting, seconds: float
) -> None:
    """Neither a second before the deadline nor a second after it, whatever is waited for."""
    connection, start = await welcomed(patience)
    connection.now = Standing(waiting, request=1)
    patience.sweep(start)

    patience.sweep(start + seconds - 1)
    assert connection.given_up == []
    patience.sweep(start + seconds)
    assert connection.given_up == [waiting]


@pytest.mark.parametrize("waiting", [Waiting.HEAD, Waiting.REST, Waiting.NEXT])
async def test_bytes_buy_no_time_where_all_has_to_come(
    patience: Patience, waiting: Waiting
) -> None:
    """A head that trickles in has the same deadline as one that does not."""
    connection, start = await welcomed(patience)
    for second in range(200):
        connection.now = Standing(waiting, request=1, progress=second * 10_000)
        patience.sweep(start + second)

    assert connection.given_up


async def test_a_body_below_the_rate_is_given_up_and_one_at_the_rate_goes_on(
    patience: Patience,
) -> None:
    """What counts is the average over the seconds that a body may pause."""
    slow, start = await welcomed(patience)
    steady, _ = await welcomed(patience)
    for second in range(100):
        slow.now = Standing(Waiting.BODY, request=1, progress=second * (RATE - 1))
        steady.now = Standing(Waiting.BODY, request=1, progress=second * RATE)
        patience.sweep(start + second)

    assert slow.given_up
    assert steady.given_up == []


@pytest.mark.parametrize("waiting", [Waiting.READER, Waiting.GONE])
async def test_a_reader_who_takes_anything_goes_on(patience: Patience, waiting: Waiting) -> None:
    """Only who takes nothing at all of the reply is given up."""
    reader, start = await welcomed(patience)
    for second in range(400):
        reader.now = Standing(waiting, request=1, progress=second // 100)
        patience.sweep(start + second)

    assert reader.given_up == []


async def test_a_client_that_waits_for_us_is_never_given_up(patience: Patience) -> None:
    """An upstream that thinks for an hour is not the client's fault."""
    connection, start = await welcomed(patience)
    connection.now = Standing(Waiting.NOTHING, request=1)
    for second in range(0, 3600, 10):
        patience.sweep(start + second)

    assert connection.given_up == []


async def test_every_request_has_time_of_its_own(patience: Patience) -> None:
    """A busy connection that is seen in the same place each second is not a slow one."""
    connection, start = await welcomed(patience)
    for second in range(100):
        connection.now = Standing(Waiting.HEAD, request=second)
        patience.sweep(start + second)

    assert connection.given_up == []


async def test_a_forgotten_connection_is_left_alone(patience: Patience) -> None:
    """What is closed is not looked at again, and makes room."""
    connection, start = await welcomed(patience)
    patience.forget(connection)
    patience.forget(connection)
    patience.sweep(start + 1000)

    assert connection.given_up == []


async def test_surplus_is_counted(patience: Patience) -> None:
    """Each connection is told how many are too many with it."""
    connections = [FakeConnection() for _ in range(4)]

    assert [patience.welcome(one) for one in connections] == [0, 0, 1, 2]
    for one in connections[:3]:
        patience.forget(one)
    assert patience.welcome(FakeConnection()) == 0


def test_it_goes_to_another_process(patience: Patience) -> None:
    """Workers get it from the program that starts them."""
    assert pickle.loads(pickle.dumps(patience)).limits == patience.limits


@pytest.mark.parametrize(("files", "connections", "told"), [(64, 16, 8), (1024, 384, 64)])
def test_few_open_files_are_few_connections(files: int, connections: int, told: int) -> None:
    """Each and its call need one, and there have to be some for the journal and the rest."""
    wanted = Limits.of(load_settings(max_connections=4096, _env_file=None))

    limits = wanted.within(files)

    assert (limits.connections, limits.reserve) == (connections, told)
    assert 2 * connections + told < files
    assert wanted.within(wanted.files) is wanted


@pytest.mark.parametrize("hard", [64, 10**6])
def test_the_server_has_room_for_what_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What the system allows is asked before the first connection, and told if it is little."""
    rooms: list[int] = []

    def run(server: running.Server, **_: object) -> None:
        rooms.append(server.config.http.keywords["patience"].limits.connections)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (hard, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(running.Server, "run", run)
    monkeypatch.setattr(running, "log_config", lambda _: None)
    with socket.socket() as listener:
        running.run(load_settings(_env_file=None), listener, on_ready=list)

    assert rooms == [16 if hard == 64 else 4096]
    assert ("ulimit -n" in caplog.text) is (hard == 64)
