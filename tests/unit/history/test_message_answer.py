"""An answer with messages: written beside the loop, whole when it is short and in pieces else."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel
from starlette.types import Message as Event

from officeai_proxy.history import message_answer
from officeai_proxy.history.message_answer import PIECE, MessageAnswer
from officeai_proxy.model import Message
from officeai_proxy.wire import jsontext


class Frame(BaseModel):
    """What stands around the messages."""

    total: int


def message(number: int, text: str) -> Message:
    return Message(
        id=number,
        parent_id=number - 1 or None,
        role="user",
        content=text,
        model_name=None,
        token_count=None,
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        metadata={},
        raw={"role": "user", "content": text},
    )


async def sent(answer: MessageAnswer) -> tuple[dict[str, str], list[bytes]]:
    """The head of an answer, and its pieces, the last of which may be empty."""
    events: list[Event] = []

    async def send(event: Event) -> None:
        events.append(event)

    async def receive() -> Event:
        await asyncio.Event().wait()
        raise AssertionError

    await answer({"type": "http"}, receive, send)
    head = {name.decode(): value.decode() for name, value in events[0]["headers"]}
    assert [event.get("more_body", False) for event in events[1:]][-1] is False
    return head, [event["body"] for event in events[1:]]


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_short_answer_has_its_length(count: int) -> None:
    messages = [message(number, "半 a\ud83d") for number in range(1, count + 1)]
    head, [body] = await sent(MessageAnswer(Frame(total=7), "data", messages))
    assert int(head["content-length"]) == len(body)
    assert head["content-type"] == "application/json"
    told = json.loads(body)
    assert told["total"] == 7
    assert [one["content"] for one in told["data"]] == ["半 a\ufffd"] * count


@pytest.mark.parametrize("length", [PIECE // 4, PIECE - 1000, 3 * PIECE])
async def test_a_long_one_comes_in_pieces(length: int) -> None:
    messages = [message(number, "x" * length) for number in range(1, 8)]
    head, pieces = await sent(MessageAnswer(Frame(total=7), "data", messages))
    assert "content-length" not in head
    assert len(pieces) > 3
    assert max(map(len, pieces)) < PIECE + 2 * length + 1000
    assert [one["id"] for one in json.loads(b"".join(pieces))["data"]] == list(range(1, 8))


async def test_nothing_of_it_is_written_in_the_thread_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: set[int] = set()

    def noted(value: object) -> str:
        threads.add(threading.get_ident())
        return jsontext.dumps(value)  # type: ignore[arg-type]

    monkeypatch.setattr(message_answer.jsontext, "dumps_readable", noted)
    messages = [message(number, "x" * PIECE) for number in range(1, 8)]
    await sent(MessageAnswer(Frame(total=7), "data", messages))
    assert threads
    assert threading.get_ident() not in threads
