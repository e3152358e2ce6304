"""The shortest journey there is: one call, and the conversation is there."""

import asyncio

from tests.journey.wires import chat, record_of
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, stream_of

WAIT = 0.3
"""Seconds."""


def test_a_call_can_be_read_right_after_it(proxy: RunningProxy) -> None:
    """What was said and answered is in the conversation as soon as the reply has ended."""
    with proxy.client("s1", "ann") as client:
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": "hello"}]},
        )

    assert answer.status_code == 200
    assert proxy.path_of("s1") == [("user", "hello"), ("assistant", "echo: hello")]
    assert proxy.stop() == 0


def test_comments_are_no_first_token(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """What a server sends to keep a connection open passes at once, and is not what it says."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        await answer.begin_events()
        await answer.chunk(b": PROCESSING\n\n")
        await asyncio.sleep(WAIT)
        for event in stream_of("hello"):
            await answer.chunk(event)
        await answer.end_chunks()

    behind.script = script
    with shared.client(session) as client:
        reply = client.post("/v1/chat/completions", content=chat("hi", stream=True))

    assert reply.content.startswith(b": PROCESSING\n\n")
    first = record_of(shared, session=session)["ttft_ms"]
    assert isinstance(first, float)
    assert first >= 1000 * WAIT
