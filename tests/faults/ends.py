"""SIGTERM in whatever state the program is: it ends in time, with exit code 0, losing nothing."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.faults.history import History
from tests.faults.report import Row
from tests.faults.stage import ENOUGH, Stage, judged, load, wait_for_calls
from tests.faults.stored import wait_until_stored
from tests.journey.wires import Wire, until
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, echo

GRACE = 2.0
ROOM = 5.0
"""Seconds beyond the grace period for storing and saying goodbye."""


@dataclass
class Scene:
    """What a state is made on."""

    stage: Stage
    proxy: RunningProxy
    stack: ExitStack
    history: History
    chance: random.Random
    round: int = 0


def idle(scene: Scene) -> None:
    """Nothing is going on."""


def just_started(scene: Scene) -> None:
    """It has said that it is ready, and nobody has asked for anything."""


def busy(scene: Scene) -> None:
    """Calls come and go; the moment is anyone's guess."""
    before = scene.history.ok
    _load(scene)
    time.sleep(scene.chance.uniform(0.05, 0.5))
    wait_for_calls(scene.history, enough=before + ENOUGH)


def streaming(scene: Scene) -> None:
    """A stream is on its way that would last longer than the grace period."""

    async def slowly(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.until_client_closes(60)

    _one_call(scene, slowly)


def waiting(scene: Scene) -> None:
    """A call waits for its upstream's first byte."""

    async def never(_: ReceivedRequest, answer: Answer) -> None:
        await answer.until_client_closes(60)

    _one_call(scene, never)


def half_a_request(scene: Scene) -> None:
    """Somebody has sent half a head, somebody else half a body."""
    for data in (b"POST /v1/chat", b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"):
        scene.stack.enter_context(Wire(scene.proxy)).send(data)


def database_away(scene: Scene) -> None:
    """PostgreSQL is away, and calls wait in the journal; with SQLite, just as `busy`."""
    _load(scene)
    if scene.stage.server is not None:
        server = scene.stage.server
        server.stop("immediate")
        scene.stack.callback(server.start)
    time.sleep(0.3)


STATES: dict[str, Callable[[Scene], None]] = {
    "idle": idle,
    "just started": just_started,
    "busy": busy,
    "streaming": streaming,
    "waiting": waiting,
    "half a request": half_a_request,
    "database away": database_away,
}


def ends(stage: Stage, *, states: list[str], rounds: int = 1) -> Row:
    """End the program in each of *states*, *rounds* times, and look what the last start stores."""
    row, history, url = Row("SIGTERM", stage.database), History(), stage.url()
    proxy = stage.proxy(url, GRACE_SECONDS=str(GRACE))
    chance = random.Random(15)
    for number in range(rounds):
        for at, name in enumerate(states):
            stage.upstream.script = echo
            with ExitStack() as stack:
                proxy.start()
                stack.callback(proxy.kill)
                scene = Scene(stage, proxy, stack, history, chance, number * len(states) + at)
                STATES[name](scene)
                _end(row, proxy, name)
    stage.upstream.script = echo
    with proxy:
        wait_until_stored(proxy)
        row.expect(proxy.stop() == 0, "at the end: no exit code 0")
    row.notes.append(f"{rounds * len(states)} ends")
    return judged(row, history, url, label="end-")


def _end(row: Row, proxy: RunningProxy, name: str) -> None:
    told = time.monotonic()
    code = proxy.stop(timeout=GRACE + 4 * ROOM)
    took = time.monotonic() - told
    row.expect(code == 0, f"{name}: exit code {code}")
    row.expect(took < GRACE + ROOM, f"{name}: took {took:.1f} s")


def _load(scene: Scene) -> None:
    label = f"end-{scene.round}"
    scene.stack.enter_context(load(scene.proxy, scene.history, clients=6, label=label))


def _one_call(scene: Scene, script: object) -> None:
    upstream = scene.stage.upstream
    upstream.script = script  # type: ignore[assignment]
    upstream.requests.clear()
    scene.stack.enter_context(Wire(scene.proxy)).say("hello", "other", stream=True)
    until(lambda: upstream.requests)
