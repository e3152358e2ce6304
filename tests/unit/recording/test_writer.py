"""Turns into conversations: every merge case, and which conversation a turn belongs to."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from time import process_time
from uuid import UUID

import pytest
from tests.factories import an_exchange, assistant, system, user
from tests.fakes import InMemoryExchangeStore, InMemoryTransaction
from tests.merge_cases import CASES, Case, Message, half

from officeai_proxy.burials import burial_of_user, burials_of
from officeai_proxy.model import NANOSECONDS, Exchange
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import write
from officeai_proxy.tree import Node, Thread


async def store_one_by_one(store: InMemoryExchangeStore, exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        await write(store, [read_turn(exchange)])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("in_one_batch", [False, True], ids=["one by one", "in one batch"])
async def test_each_message_is_stored_once_and_in_its_place(case: Case, in_one_batch: bool) -> None:
    """Whether its turns come in one batch or in many, a story gives the same conversation."""
    store = InMemoryExchangeStore()
    exchanges = [an_exchange(request, reply) for request, reply in case.exchanges]

    if in_one_batch:
        await write(store, [read_turn(exchange) for exchange in exchanges])
    else:
        await store_one_by_one(store, exchanges)

    kept = store.only()
    assert [message.content for message in kept.path()] == case.path
    assert len(kept.messages) == case.stored


GUIDE = Path(__file__).parents[3] / "docs" / "merging.md"


def _said(word: str) -> Message:
    """A word of the guide's examples as the message that it stands for."""
    if word.startswith("["):
        return system(word)
    if word.endswith("()"):
        call = {"id": word[:-2], "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return {**assistant(word), "tool_calls": [call]}
    if word.startswith("f:"):
        return {"role": "tool", "tool_call_id": "f", "content": word}
    return assistant(word) if word[0].isupper() else user(word)


def _answered(words: Sequence[str]) -> list[Message] | bytes | None:
    """What comes of a call in the guide's examples: answers, half of one, or nothing."""
    if words and words[0].endswith("…"):
        return half(words[0].removesuffix("…"))
    return [_said(word) for word in words] or None


@pytest.mark.parametrize(
    "example",
    re.findall(r"^```text\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE),
)
async def test_the_examples_of_the_guide_are_true(example: str) -> None:
    """docs/merging.md says of each client what comes of its calls, and that comes of them."""
    store = InMemoryExchangeStore()
    calls = re.findall(r"^(.+) →(.*)$", example, re.MULTILINE)
    told = dict(re.findall(r"^([=+]) (.+)$", example, re.MULTILINE))

    for sent, answer in calls:
        request = [_said(word) for word in sent.split()]
        await store_one_by_one(store, [an_exchange(request, _answered(answer.split()))])

    kept = store.only()
    path = [message.content for message in kept.path()]
    stored = [message.content for message in kept.messages.values()]
    assert path == told["="].split()
    assert sorted(stored) == sorted([*path, *told.get("+", "").split()])


async def test_an_exchange_that_is_stored_already_is_not_stored_again() -> None:
    """A journal that is read a second time changes nothing."""
    store = InMemoryExchangeStore()
    exchange = an_exchange()

    await store_one_by_one(store, [exchange, exchange])
    await write(store, [read_turn(exchange), read_turn(exchange)])

    assert len(store.only().messages) == 2
    assert len(store.calls) == 1


@pytest.mark.parametrize(
    ("named", "graves"),
    [
        ({"user": "ann"}, burials_of("default", "ann", "s1")),
        ({"user": "ann"}, [burial_of_user("default", "ann")]),
        ({"user": None}, burials_of("default", "ann", "s1")),
        ({"user": None}, [burial_of_user("default", "10.0.0.1")]),
        (
            {"user": "ann", "session": None, "is_recorded": False},
            [burial_of_user("default", "ann")],
        ),
    ],
    ids=["the session", "the user", "nobody's call", "the address", "a line of the log"],
)
async def test_what_was_erased_after_it_began_is_not_stored(
    named: dict[str, object], graves: Sequence[UUID]
) -> None:
    """Deleting wins over a call that nobody had seen yet; one that began later is stored."""
    store = InMemoryExchangeStore()
    before, after = an_exchange(**named), an_exchange(**named)
    store.buried = dict.fromkeys(graves, before.started_at)

    withheld = await write(store, [read_turn(before), read_turn(after)])

    assert withheld == {before.id}
    assert list(store.calls) == [after.id]


@pytest.mark.parametrize(
    "other",
    [
        {"user": "bob"},
        {"session": "s2"},
        {"workspace": "other"},
        {"user": None, "session": "s2"},
    ],
    ids=str,
)
async def test_an_erasure_concerns_nobody_else(other: dict[str, str | None]) -> None:
    """Another user, another session and another workspace keep their calls."""
    store = InMemoryExchangeStore()
    exchange = an_exchange(**other)
    store.buried = dict.fromkeys(burials_of("default", "ann", "s1"), exchange.ended_at)

    assert await write(store, [read_turn(exchange)]) == set()
    assert list(store.calls) == [exchange.id]


async def test_a_call_without_a_user_belongs_to_the_only_conversation_of_its_session() -> None:
    """Two calls back to back, the second without X-User-ID, land in one conversation."""
    store = InMemoryExchangeStore()
    turns = [an_exchange(user="ann"), an_exchange([user("2")], [assistant("two")], user=None)]

    await write(store, [read_turn(turn) for turn in turns])

    assert [m.content for m in store.only().path()] == ["hi", "hello", "2", "two"]
    assert {call.user for call in store.calls.values()} == {"ann"}


async def test_a_call_without_a_user_is_its_address_when_two_users_share_the_session() -> None:
    """Where it is not clear which conversation is meant, the client's IP is the user."""
    store = InMemoryExchangeStore()

    await store_one_by_one(
        store, [an_exchange(user="ann"), an_exchange(user="bob"), an_exchange(user=None)]
    )

    assert [kept.thread.user for kept in store.conversations] == ["ann", "bob", "10.0.0.1"]


async def test_workspaces_never_share_a_session() -> None:
    """The same session and user in another workspace is another conversation."""
    store = InMemoryExchangeStore()

    await store_one_by_one(store, [an_exchange(), an_exchange(workspace="other")])
    await store_one_by_one(store, [an_exchange(workspace="other", user=None)])

    assert [len(kept.messages) for kept in store.conversations] == [2, 4]


async def test_a_call_that_is_not_recorded_leaves_a_line_in_the_log_and_no_conversation() -> None:
    """The call log has every call; conversations have what was asked to be recorded."""
    store = InMemoryExchangeStore()

    await store_one_by_one(store, [an_exchange(is_recorded=False, request=b"", reply=b"")])

    assert store.conversations == []
    assert len(store.calls) == 1


async def test_the_title_is_the_first_question_and_stays() -> None:
    """Later questions do not change what a conversation is called."""
    store = InMemoryExchangeStore()

    await store_one_by_one(
        store, [an_exchange([user("  What is\nPython?  ")]), an_exchange([user("other")])]
    )

    assert store.only().thread.title == "What is Python?"


async def test_the_last_moment_of_a_batch_is_that_of_its_latest_turn() -> None:
    """Calls come in the order in which they were written, and the longest may have ended last."""
    store = InMemoryExchangeStore()
    long, short = an_exchange(duration_ns=60 * NANOSECONDS), an_exchange([user("and?")])

    await write(store, [read_turn(long), read_turn(short)])

    assert store.only().thread.updated_at == long.ended_at


async def test_the_ordinary_turn_reads_no_tree() -> None:
    """A resent history and a client without memory go on at the end of the path without a look."""
    store = InMemoryExchangeStore()
    history = []
    for n in range(20):
        history.append(user(f"q{n}"))
        await store_one_by_one(store, [an_exchange(list(history), [assistant(f"a{n}")])])
        history.append(assistant(f"a{n}"))
    await store_one_by_one(store, [an_exchange([user("alone")])])

    assert len(store.only().messages) == 42
    assert store.trees_read == 0


async def test_a_window_over_a_long_conversation_reads_no_tree() -> None:
    """A client that sends its last messages only is found at the end of the path."""
    store = InMemoryExchangeStore()
    history = [user("q0")]
    for n in range(100):
        await store_one_by_one(store, [an_exchange(history[-6:], [assistant(f"a{n}")])])
        history += [assistant(f"a{n}"), user(f"q{n + 1}")]

    assert len(store.only().messages) == 200
    assert store.trees_read <= 3


def _with_the_time(turn: int, history: list[Message]) -> list[Message]:
    return [user(f"time {turn}"), *history]


def _with_the_first_and_a_window(turn: int, history: list[Message]) -> list[Message]:
    return history if turn < 4 else [history[0], *history[-7:]]


def _with_a_summary_and_a_window(turn: int, history: list[Message]) -> list[Message]:
    return history if turn < 4 else [user(f"summary {turn}"), *history[-7:]]


def _with_a_note_in_the_middle(turn: int, history: list[Message]) -> list[Message]:
    return history if turn < 4 else [*history[:-4], user("note"), *history[-4:]]


@pytest.mark.parametrize(
    "sent",
    [
        _with_the_time,
        _with_the_first_and_a_window,
        _with_a_summary_and_a_window,
        _with_a_note_in_the_middle,
    ],
)
@pytest.mark.parametrize("asks_tools", [False, True], ids=["answers", "tools"])
async def test_whatever_clients_put_around_the_history_each_message_is_stored_once(
    sent: Callable[[int, list[Message]], list[Message]], asks_tools: bool
) -> None:
    """Storage grows with what was said: not with its square, and for no message twice."""
    store, said = InMemoryExchangeStore(), set[str]()
    history = [user("q0")]
    for n in range(40):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        reply = {**assistant(""), "tool_calls": [call]} if asks_tools else assistant(f"a{n}")
        request = sent(n, history)
        await store_one_by_one(store, [an_exchange(request, [reply])])
        said |= {repr(message) for message in (*request, reply)}
        result = {"role": "tool", "tool_call_id": f"c{n}", "content": f"r{n}"}
        history = [*history, reply, result if asks_tools else user(f"q{n + 1}")]

    kept = store.only()
    assert len(kept.messages) == len(kept.path()) == len(said)
    assert store.trees_read == 0
    talk = [message.role for message in kept.path()]
    assert not asks_tools or talk.count("tool") == sum(
        (before, role) == ("assistant", "tool") for before, role in pairwise(talk)
    )


async def test_a_note_that_is_always_the_same_moves_no_words_that_are_said_again() -> None:
    """However often they were said with the note behind them: each turn stands behind the last."""
    store, history = InMemoryExchangeStore(), list[Message]()
    for word in ["a", "b", "c", "b", "b", "b", "b", "b", "a", "a", "b", "a"]:
        request = [*history, user("note"), user(word)]
        reply = assistant("what?" if word == "c" else "ok")
        await store_one_by_one(store, [an_exchange(request, [reply])])
        history += [user(word), reply]

    path = [message.content for message in store.only().path()]
    assert [text for text in path if text != "note"] == [one["content"] for one in history]


@pytest.mark.parametrize("window", [None, 90], ids=["the whole history", "a window"])
@pytest.mark.parametrize("tells_time", [False, True], ids=["notes", "notes and the time"])
async def test_instructions_before_each_question_are_stored_once(
    window: int | None, tells_time: bool
) -> None:
    """However many there are: some clients say what they found before each question."""
    store, said = InMemoryExchangeStore(), set[str]()
    history = list[Message]()
    for n in range(50):
        history += [system(f"found {n}"), user(f"q{n}")]
        request = history[-window:] if window else list(history)
        request = [system(f"time {n}"), *request] if tells_time else request
        await store_one_by_one(store, [an_exchange(request, [assistant(f"a{n}")])])
        history.append(assistant(f"a{n}"))
        said |= {repr(message) for message in (*request, history[-1])}

    path = [message.content for message in store.only().path()]
    assert [text for text in path if "time" not in text] == [one["content"] for one in history]
    assert len(store.only().messages) == len(said)


async def test_words_that_are_said_thousands_of_times_do_not_hold_up_the_recorder() -> None:
    """The time for a branch grows with the conversation, not with its square: all others wait."""
    store = InMemoryExchangeStore()
    history = [user("hi"), *([assistant("ok"), user("go on")] * 2000)]
    edited = [*history[:100], user("stop")]
    began = process_time()

    await store_one_by_one(store, [an_exchange(history, [assistant("ok")])])
    await store_one_by_one(store, [an_exchange(history, [assistant("done")])])
    regenerated = [message.content for message in store.only().path()]
    await store_one_by_one(store, [an_exchange(edited, [assistant("bye")])])

    assert process_time() - began < 3
    assert regenerated == [message["content"] for message in [*history, assistant("done")]]
    assert [message.content for message in store.only().path()] == [
        message["content"] for message in [*edited, assistant("bye")]
    ]
    assert len(store.only().messages) == len(history) + 4


async def test_thousands_of_answers_to_one_call_do_not_hold_up_the_recorder() -> None:
    """In another order than before: each is looked at, and not all that stand in front of it."""
    store = InMemoryExchangeStore()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = [user("go"), {**assistant(""), "tool_calls": [call]}]
    results = [{"role": "tool", "tool_call_id": "c", "content": f"r{n}"} for n in range(12_000)]
    began = process_time()

    await store_one_by_one(store, [an_exchange([*asked, *results], [assistant("a")])])
    await store_one_by_one(store, [an_exchange([*asked, *results[::-1]], [assistant("b")])])

    assert process_time() - began < 2
    assert store.only().path()[-1].content == "b"


async def test_thousands_of_instructions_do_not_hold_up_the_recorder() -> None:
    """Whether one of them is what the path ends with is seen at once."""
    store = InMemoryExchangeStore()
    notes = [system(f"s{n}") for n in range(28_000)]
    later = [message for note in notes for message in (note, user("q"))]
    began = process_time()

    await store_one_by_one(store, [an_exchange([user("a"), *notes], [assistant("b")])])
    await store_one_by_one(store, [an_exchange(later[::-1], [assistant("c")])])

    assert process_time() - began < 2
    assert store.only().path()[-1].content == "c"


async def test_the_turns_of_a_batch_share_one_look_at_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a window goes on from is read once for all turns of a conversation in a batch."""
    store, looks = InMemoryExchangeStore(), list[int]()
    path_end = InMemoryTransaction.path_end

    async def counted(self: InMemoryTransaction, thread: Thread, count: int) -> list[Node]:
        looks.append(count)
        return await path_end(self, thread, count)

    history = [user("q0")]
    exchanges = []
    for n in range(30):
        exchanges.append(an_exchange(history[-7:], [assistant(f"a{n}")]))
        history += [assistant(f"a{n}"), user(f"q{n + 1}")]
    await store_one_by_one(store, exchanges[:20])
    monkeypatch.setattr(InMemoryTransaction, "path_end", counted)

    await write(store, [read_turn(exchange) for exchange in exchanges[20:]])

    assert [message.content for message in store.only().path()] == [
        message["content"] for message in history[:-1]
    ]
    assert len(looks) == 1
