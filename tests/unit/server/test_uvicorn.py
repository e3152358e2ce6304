"""What we rely on in uvicorn beyond its documented parts; a version that differs fails here."""

import asyncio
import inspect
import re

import pytest
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from officeai_proxy.server import open_ends
from officeai_proxy.server.connection import Connection
from officeai_proxy.server.direct_call import DirectCall

# What its connection asks of a cycle while a call of ours stands in its place. The body is not
# among it: pieces of a call's body never reach uvicorn's own methods.
ASKED = {"response_complete", "disconnected", "message_event", "keep_alive"}
OF_BODIES = {"body", "more_body"}


class Transport(asyncio.Transport):
    """Remembers what was written and whether it was closed."""

    def __init__(self) -> None:
        """Nothing was written."""
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def a_call(transport: Transport, *, keep_alive: bool = True) -> DirectCall:
    return DirectCall(
        None,
        transport=transport,
        flow=FlowControl(transport),
        default_headers=[(b"date", b"today")],
        keep_alive=keep_alive,
        knows_chunks=True,
        on_response=lambda: None,
    )


def test_its_connection_asks_cycles_for_nothing_else() -> None:
    """A call of ours has what uvicorn's connection reads or writes of a cycle."""
    asked = set(re.findall(r"self\.cycle\.(\w+)", inspect.getsource(HttpToolsProtocol)))

    assert asked == ASKED | OF_BODIES
    call = a_call(Transport())
    assert all(hasattr(call, name) for name in ASKED)


def test_our_connection_asks_both_kinds_alike() -> None:
    """What our own layer reads of a cycle is there in uvicorn's and in ours."""
    asked = set(re.findall(r"\bcycle\.(\w+)", inspect.getsource(Connection))) - ASKED
    names = set(re.findall(r"self\.(\w+)", inspect.getsource(RequestResponseCycle)))
    call = a_call(Transport())

    assert asked <= names
    assert all(hasattr(call, name) for name in asked)


def test_a_cycle_decides_for_chunks_where_we_change_that() -> None:
    """What a reply without chunks and without a length sets in a cycle is what a cycle looks at."""
    used = set(re.findall(r"\bcycle\.(\w+)", inspect.getsource(open_ends)))
    names = set(re.findall(r"self\.(\w+)", inspect.getsource(RequestResponseCycle)))

    assert used <= names


async def test_methods_that_are_overridden_are_there() -> None:
    """Every method that we override or call exists, and a connection can be made as we make it."""
    for name in (
        *("connection_made", "connection_lost", "data_received", "resume_writing"),
        *("on_message_begin", "on_headers_complete", "on_body", "on_message_complete"),
        *("on_response_complete", "_start_asgi_task", "shutdown"),
    ):
        assert callable(getattr(HttpToolsProtocol, name))
    config = Config(lambda: None, http=HttpToolsProtocol, log_config=None)
    protocol = HttpToolsProtocol(config, ServerState(), {})
    assert protocol.cycle is None
    assert not protocol.pipeline


def test_it_queues_requests_as_we_read_them() -> None:
    """The newest request that waits is first in the queue, and the last one begins next."""
    queues = inspect.getsource(HttpToolsProtocol.on_headers_complete)
    begins = inspect.getsource(HttpToolsProtocol.on_response_complete)

    assert "self.pipeline.appendleft((self.cycle, app))" in queues
    assert "cycle, app = self.pipeline.pop()" in begins


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("status", [200, 204, 404])
@pytest.mark.parametrize("has_length", [True, False])
async def test_a_reply_is_written_as_uvicorn_writes_it(
    keep_alive: bool, status: int, has_length: bool
) -> None:
    """Status line, headers and framing are the same to the byte, whichever way a call goes."""
    length = [(b"content-length", b"6")] if has_length and status != 204 else []
    headers = [(b"content-type", b"text/plain"), *length]
    pieces = [] if status == 204 else [b"abc", b"def"]
    theirs, ours = Transport(), Transport()
    cycle = RequestResponseCycle(
        scope={"method": "POST"},  # type: ignore[typeddict-item]
        transport=theirs,
        flow=FlowControl(theirs),
        logger=None,  # type: ignore[arg-type]
        access_logger=None,  # type: ignore[arg-type]
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await cycle.send({"type": "http.response.body", "body": piece, "more_body": True})
    await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    call = a_call(ours, keep_alive=keep_alive)
    call.reply((status, headers), b"", is_over=False)
    for piece in pieces:
        call.reply(None, piece, is_over=False)
    call.reply(None, b"", is_over=True)

    assert ours.written == theirs.written
    assert ours.is_closed == theirs.is_closed == (not keep_alive)
    assert call.response_complete
