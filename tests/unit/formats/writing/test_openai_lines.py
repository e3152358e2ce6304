"""Training examples: OpenAI's messages, one conversation a line."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.passages import everything, head, line, split, talk, written

from officeai_proxy.formats.writing.passages import Passage


def test_messages_are_openais():
    """Tool calls, parts and every other field are as the client sent them."""
    [text] = written("openai", [everything()]).decode().splitlines()

    messages = json.loads(text)["messages"]
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert messages[2]["tool_calls"][0]["function"]["name"] == "weather"
    assert messages[3]["tool_call_id"] == "call_1"
    assert messages[7] == {"role": "assistant", "content": None, "refusal": "I cannot do that."}


def test_what_a_reply_does_not_say_is_left_out():
    """`message_unrecognized_key`, says the check of OpenAI's cookbook of the first two."""
    silent = {"refusal": None, "annotations": [], "tool_calls": None, "reasoning_content": ""}
    spoken = {"role": "assistant", "content": "Four.", "weight": 0, "reasoning": "2 + 2"}
    called = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]}
    lines = [line({**silent, **spoken}, 1), line({**silent, **called}, 2)]

    [text] = written("openai", [Passage(head(), lines)]).decode().splitlines()

    assert json.loads(text) == {"messages": [spoken, called]}


def test_a_conversation_without_messages_has_no_line():
    """There is nothing to learn from it."""
    assert written("openai", [Passage(head(), []), talk("a")]).count(b"\n") == 1


@given(st.lists(st.text(), min_size=1, max_size=5), st.integers(1, 3))
def test_a_line_is_one_conversation(texts: list[str], size: int):
    """Whatever was said, in however many pieces it came."""
    lines = [line({"role": "user", "content": text, "n": 1}, n + 1) for n, text in enumerate(texts)]
    data = written("openai", split(Passage(head(), lines), size), at_once=1)

    [text] = data.decode().rstrip("\n").split("\n")
    assert [message["content"] for message in json.loads(text)["messages"]] == texts
