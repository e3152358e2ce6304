"""Callers who hang up leave nothing for the garbage collector, which comes after minutes only."""

import os
import signal
from pathlib import Path

import pytest
from tests.conftest import StartProxy
from tests.journey.test_endings_client import EVENTS, WAYS, Leave
from tests.journey.wires import Wire, record_of, until
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream

CALLERS = 20

PROBE = """
import gc, os, pathlib, signal

def tell(number, frame):
    fresh = pathlib.Path(os.environ["GARBAGE"] + ".new")
    fresh.write_text(str(gc.collect()))
    fresh.replace(os.environ["GARBAGE"])

signal.signal(signal.SIGUSR2, tell)
"""


async def an_answer_that_goes_on(_: ReceivedRequest, answer: Answer) -> None:
    await answer.begin_events()
    await answer.chunk(EVENTS[0])
    await answer.until_client_closes()


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
def test_a_caller_who_left_is_not_garbage(
    start_proxy: StartProxy, upstream: ScriptedUpstream, tmp_path: Path, leave: Leave
) -> None:
    """Connections, their parsers, the call and its reply are freed when the caller is gone."""
    (tmp_path / "sitecustomize.py").write_text(PROBE)
    told = tmp_path / "told"
    upstream.script = an_answer_that_goes_on
    proxy = start_proxy(environment={"PYTHONPATH": str(tmp_path), "GARBAGE": str(told)})

    def garbage() -> int:
        told.unlink(missing_ok=True)
        os.kill(proxy.process.pid, signal.SIGUSR2)
        until(told.exists)
        return int(told.read_text())

    def call_and_leave(session: str) -> None:
        with Wire(proxy) as wire:
            wire.say("hello", session, stream=True)
            wire.head()
            assert wire.content(len(EVENTS[0])) == EVENTS[0]
            leave(wire)

    def records_are_there(session: str) -> None:
        assert record_of(proxy, session=session)["outcome"] == "client_closed"

    call_and_leave("first")
    records_are_there("first")
    garbage()
    records_are_there("first")
    left_by_reading = garbage()

    for number in range(CALLERS):
        call_and_leave(f"s{number}")
    records_are_there(f"s{CALLERS - 1}")

    assert garbage() < left_by_reading + 5 * CALLERS
