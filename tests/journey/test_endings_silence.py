"""Upstreams that fall silent: given up after a while, unless they say that they are still there."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.journey.wires import Wire, chat, record_of, reply_of
from tests.proxies import CopiedProxy, RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, echo, said, stream_of

CHATS = "/v1/chat/completions"
EVENTS = stream_of("one two three four")
SHORT = 1.0
"""Seconds; a busy machine may be late by nearly as much."""


@pytest.fixture(scope="module")
def _waiting(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ScriptedUpstream, RunningProxy]]:
    with ScriptedUpstream() as upstream:
        settings = {
            "UPSTREAM_BASE_URL": upstream.base_url,
            "IDLE_TIMEOUT": str(SHORT),
            "FIRST_BYTE_TIMEOUT": str(SHORT),
        }
        with CopiedProxy(tmp_path_factory.mktemp("impatient"), settings) as proxy:
            yield upstream, proxy


@pytest.fixture
def impatient(_waiting: tuple[ScriptedUpstream, RunningProxy]) -> RunningProxy:
    """A proxy that waits for its upstream no longer than `SHORT` seconds."""
    _waiting[0].script = echo
    return _waiting[1]


@pytest.fixture
def silent(_waiting: tuple[ScriptedUpstream, RunningProxy]) -> ScriptedUpstream:
    """The upstream of `impatient`."""
    return _waiting[0]


def test_silence_before_the_reply_is_504(
    impatient: RunningProxy, silent: ScriptedUpstream, session: str
) -> None:
    """An upstream that never begins is given up; the question is recorded without an answer."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.until_client_closes()

    silent.script = script
    with impatient.client(session) as client:
        reply = client.post(CHATS, content=chat("hello"))

    assert reply.status_code == 504
    assert "OFFICEAI_FIRST_BYTE_TIMEOUT" in reply.json()["error"]["message"]
    assert impatient.path_of(session) == [("user", "hello")]
    assert record_of(impatient, session=session)["outcome"] == "upstream_timeout"


def test_silence_within_the_reply_is_a_break(
    impatient: RunningProxy, silent: ScriptedUpstream, session: str
) -> None:
    """An upstream that falls silent, after however much, is given up, and what it had said is kept
    as that.
    """
    counts = (0, 1, 3)

    async def script(request: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for event in EVENTS[: int(said(request))]:
            await answer.chunk(event)
        await answer.until_client_closes()

    silent.script = script
    with ExitStack() as stack:
        wires = {count: stack.enter_context(Wire(impatient)) for count in counts}
        for count, wire in wires.items():
            wire.say(str(count), f"{session}-{count}", stream=True)
        for count, wire in wires.items():
            wire.head()
            came = b"".join(EVENTS[:count])
            assert wire.content(len(came)) == came
        for wire in wires.values():
            with pytest.raises(EOFError):
                wire.piece()

    for count in counts:
        line = record_of(impatient, session=f"{session}-{count}")
        assert line["outcome"] == "upstream_timeout"


def test_comments_keep_a_stream_alive(
    impatient: RunningProxy, silent: ScriptedUpstream, session: str
) -> None:
    """An upstream that thinks for long, and says so, is not taken for dead."""
    comments = [b": thinking\n\n"] * 12

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        for comment in comments:
            await answer.chunk(comment)
            await asyncio.sleep(SHORT / 10)
        for event in EVENTS:
            await answer.chunk(event)
        await answer.end_chunks()

    silent.script = script
    with impatient.client(session) as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))

    assert reply.content == b"".join(comments + EVENTS)
    assert reply_of(impatient, session) == ("one two three four", None)
