"""X-Session-Context: clients without memory have their session's history sent along."""

import json

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import chat, record_of
from tests.proxies import RunningProxy
from tests.upstream import Answer, ReceivedRequest, ScriptedUpstream, echo

CHATS = "/v1/chat/completions"
CONTEXT = "X-Session-Context"
SENT = "X-Session-Context-Sent"


def said_upstream(upstream: ScriptedUpstream) -> list[str]:
    """The texts of the messages that the upstream got last."""
    messages = upstream.requests[-1].json()["messages"]
    assert isinstance(messages, list)
    return [message["content"] for message in messages]


def test_the_newest_messages_go_before_the_new_one(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """A number, or all; what was recorded a moment ago is there; nothing is stored twice."""
    asked = (("one", "all", "0"), ("two", "all", "2"), ("three", "3", "3"), ("four", "0", "0"))
    with shared.client(session, "ann") as client:
        for text, wanted, sent in asked:
            reply = client.post(CHATS, content=chat(text), headers={CONTEXT: wanted})
            assert (reply.status_code, reply.headers[SENT]) == (200, sent)
            if text == "three":
                assert said_upstream(behind) == ["echo: one", "two", "echo: two", "three"]
                assert behind.requests[-1].header(CONTEXT.lower()) is None
        plain = client.post(CHATS, content=chat("five"))

    assert SENT not in plain.headers
    texts = [text for role, text in shared.path_of(session) if role == "user"]
    assert texts == ["one", "two", "three", "four", "five"]


def test_a_stream_has_a_context_too(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """The header is told with the head of the stream."""
    with shared.client(session) as client:
        client.post(CHATS, content=chat("one"))
        reply = client.post(CHATS, content=chat("two", stream=True), headers={CONTEXT: "all"})

    assert reply.headers[SENT] == "2"
    assert said_upstream(behind) == ["one", "echo: one", "two"]


def test_a_retry_after_half_an_answer_asks_once(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """The model is asked what is stored: neither the question twice, nor half of an answer."""

    async def broken(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b'{"choices": [{"message": {"content": "half of')

    with shared.client(session) as client:
        client.post(CHATS, content=chat("one"))
        behind.script = broken
        client.post(CHATS, content=chat("two"))
        behind.script = echo
        client.post(CHATS, content=chat("two"), headers={CONTEXT: "all"})

    assert said_upstream(behind) == ["one", "echo: one", "two"]
    texts = [text for _, text in shared.path_of(session)]
    assert texts == ["one", "echo: one", "two", "echo: two"]


def test_users_have_contexts_of_their_own(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Two users with the same session id do not hear of each other."""
    for user in ("ann", "bob"):
        with shared.client(session, user) as client:
            client.post(CHATS, content=chat(f"I am {user}"))
            client.post(CHATS, content=chat("who?"), headers={CONTEXT: "all"})
        assert said_upstream(behind) == [f"I am {user}", f"echo: I am {user}", "who?"]


@pytest.mark.parametrize(
    ("value", "more", "words"),
    [
        ("1001", {}, "at most 1000"),
        ("-1", {}, "`all` or a number"),
        ("some", {}, "`all` or a number"),
        ("5", {"X-Record": "off"}, "recorded chat calls"),
        ("5", {"X-Session-ID": ""}, "X-Session-ID"),
    ],
)
def test_a_wish_that_cannot_be_met_is_a_400(
    shared: RunningProxy, behind: ScriptedUpstream, value: str, more: dict[str, str], words: str
) -> None:
    """The message says what can be asked for, and the upstream hears nothing."""
    headers = {CONTEXT: value, "X-Session-ID": "wishes", **more}
    with shared.client() as client:
        answer = client.post(CHATS, content=chat("hi"), headers=headers)

    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert behind.requests == []


@pytest.mark.parametrize("headers", [{}, {"X-Session-ID": "s", "X-Record": "off"}])
def test_a_call_that_is_not_recorded_cannot_have_a_context(
    shared: RunningProxy, behind: ScriptedUpstream, headers: dict[str, str]
) -> None:
    """There is nothing to send; both ways to mend that are named."""
    with shared.client() as client:
        answer = client.post(CHATS, content=chat("hi"), headers={CONTEXT: "all", **headers})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == CONTEXT
    assert "X-Session-ID" in answer.json()["error"]["message"]
    assert "X-Record: off" in answer.json()["error"]["message"]
    assert behind.requests == []


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_limits_and_scopes_hold(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Tokens and messages are bounded by settings; a key that may not read gets a 403."""
    proxy = start_proxy(CONTEXT_TOKENS="30", CONTEXT_MESSAGES="3")
    with proxy.client() as client:
        made = client.post("/keys", json={"name": "c", "scopes": ["chat"]}).json()
    with proxy.client("s", "ann") as client:
        for text in ("one", "two " * 40, "three"):
            client.post(CHATS, content=chat(text))
        whole = client.post(CHATS, content=chat("four"), headers={CONTEXT: "all"})
        over = client.post(CHATS, content=chat("five"), headers={CONTEXT: "4"})
        chat_only = {"Authorization": f"Bearer {made['key']}", CONTEXT: "1"}
        refused = client.post(CHATS, content=chat("six"), headers=chat_only)

    assert whole.headers[SENT] == "2"
    assert over.status_code == 400
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert len(upstream.requests) == 4


def test_both_databases_remember(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Tool calls go with their results; what the log says of the call is its own body."""
    proxy = start_proxy()
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    with proxy.client("tools", "ann") as client:
        body = json.dumps({"model": "m", "messages": said}).encode()
        client.post(CHATS, content=body)
        torn = client.post(CHATS, content=chat("and?"), headers={CONTEXT: "2"})
        whole = client.post(CHATS, content=chat("so?"), headers={CONTEXT: "all"})

    assert torn.headers[SENT] == "1"
    assert whole.headers[SENT] == "6"
    messages = upstream.requests[-1].json()["messages"]
    assert isinstance(messages, list)
    assert messages[:3] == said
    assert record_of(proxy, session="tools", exchange_id=whole.headers["x-exchange-id"])
    assert len(proxy.path_of("tools")) == 8
