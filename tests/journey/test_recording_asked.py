"""Which calls are recorded, and into whose conversation: X-Record, OFFICEAI_RECORD, X-User-ID."""

from uuid import UUID

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import chat, record_of
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream

CHATS = "/v1/chat/completions"


def test_without_a_session_nothing_of_the_content_is_kept(shared: RunningProxy) -> None:
    """A call without X-Session-ID makes a line in the log and no conversation."""
    before = shared.get("/conversations").json()["total"]
    with shared.client(user="nobody-1") as client:
        reply = client.post(CHATS, content=chat("hi"))

    assert "x-session-id" not in reply.headers
    assert record_of(shared, user="nobody-1")["session"] is None
    assert shared.get("/conversations").json()["total"] == before


def test_x_record_off_leaves_one_call_out(shared: RunningProxy, session: str) -> None:
    """`X-Record: off` is for one call; the next one of the session is recorded again."""
    for word, text in (("off", "secret"), ("on", "open"), ("OFF", "secret too")):
        with shared.client(session) as client:
            client.post(CHATS, content=chat(text), headers={"X-Record": word})

    assert shared.path_of(session) == [("user", "open"), ("assistant", "echo: open")]


@pytest.mark.parametrize("words", ["short", "long " * 4000])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_call_counts_under_one_name(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, words: str, is_stream: bool
) -> None:
    """The model that served it, whether it is recorded or not, however long its reply."""
    asked = {"model": "asked-for", "messages": [{"role": "user", "content": words}]}
    with shared.client(session) as client:
        for word in ("on", "off"):
            body = {**asked, "stream": is_stream}
            client.post(CHATS, json=body, headers={"X-Record": word})

    lines = shared.get("/history", session=session).json()["history"]
    assert [line["model"] for line in lines] == ["gpt-test", "gpt-test"]


@pytest.mark.parametrize("path", [f"{CHATS}/", "/v1//chat/completions", "/v1/chat/completions//"])
def test_slashes_too_many_change_nothing(
    shared: RunningProxy, behind: ScriptedUpstream, session: str, path: str
) -> None:
    """Clients that put an address together from two parts write such paths; upstreams know one."""
    with shared.client(session) as client:
        assert client.post(path, content=chat("hi")).headers["x-session-id"] == session

    assert behind.requests[-1].target == CHATS
    assert shared.path_of(session) == [("user", "hi"), ("assistant", "echo: hi")]


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_record_all_gives_each_call_a_session(start_proxy: StartProxy) -> None:
    """With OFFICEAI_RECORD=all a call without a session gets one of its own, and is told it."""
    proxy = start_proxy(RECORD="all")
    with proxy.client() as client:
        sessions = [
            client.post(CHATS, content=chat(f"hi {n}")).headers["x-session-id"] for n in range(2)
        ]
        off = client.post(CHATS, content=chat("off"), headers={"X-Record": "off"})

    assert "x-session-id" not in off.headers
    for number, given in enumerate(sessions):
        assert proxy.path_of(str(UUID(given)))[0] == ("user", f"hi {number}")
    assert proxy.get("/conversations").json()["total"] == 2


def test_a_call_without_user_joins_the_only_conversation(
    shared: RunningProxy, session: str
) -> None:
    """Two calls back to back, the second without X-User-ID, land in one conversation."""
    with shared.client(session) as client:
        client.post(CHATS, content=chat("one"), headers={"X-User-ID": session})
        client.post(CHATS, content=chat("two"))

    (conversation,) = shared.get("/conversations", user_identifier=session).json()["data"]
    assert (conversation["session_id"], conversation["message_count"]) == (session, 4)


def test_a_call_without_user_is_the_clients_address_when_that_is_unclear(
    shared: RunningProxy, session: str
) -> None:
    """With two users of one session, or none, the client's address is the user."""
    for user in ("ann", "bob"):
        with shared.client(session, user) as client:
            client.post(CHATS, content=chat(f"I am {user}"))
    with shared.client(session) as client:
        client.post(CHATS, content=chat("who am I"))

    answer = shared.get(f"/conversations/{session}", user_identifier="127.0.0.1").json()
    assert answer["messages"][0]["content"] == "who am I"
    assert shared.get(f"/conversations/{session}").status_code == 409
