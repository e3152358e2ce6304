"""Calls that follow each other on one connection: each is what its own head says."""

import json

import pytest
from tests.journey.test_bad_http import BODY, CHATS, HEAD, NOT_HTTP, is_error_object
from tests.journey.wires import Wire, chat
from tests.proxies import KEY, RunningProxy
from tests.upstream import ScriptedUpstream, said

OTHERS = f"POST {CHATS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "


def request(
    session: str, body: bytes, *, user: str = "ann", key: str = KEY, more: str = ""
) -> bytes:
    """A recorded call as one client writes it again and again."""
    head = (
        f"{OTHERS}{key}\r\nX-Session-ID: {session}\r\nX-User-ID: {user}\r\n"
        f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def answer(wire: Wire) -> tuple[int, str]:
    """Status and text of the next reply."""
    head, body = wire.reply()
    value = json.loads(body)
    if head.status != 200:
        return head.status, value["error"]["message"]
    return head.status, value["choices"][0]["message"]["content"]


def test_each_call_goes_to_the_session_and_user_that_it_names(
    shared: RunningProxy, session: str
) -> None:
    """Length, session and user differ from call to call, in pieces of any size."""
    with Wire(shared) as wire:
        for number in range(6):
            data = request(f"{session}-{number % 2}", chat("x" * 10**number), user=f"u{number % 2}")
            size = 7 if number == 2 else 50_000
            for at in range(0, len(data), size):
                wire.send(data[at : at + size])
            assert answer(wire)[0] == 200

    for number in (0, 1):
        path = shared.path_of(f"{session}-{number}", user_identifier=f"u{number}")
        asked = [text for role, text in path if role == "user"]
        assert [len(text) for text in asked] == [10**n for n in range(number, 6, 2)]


def test_requests_that_come_together_are_answered_in_their_order(
    shared: RunningProxy, session: str
) -> None:
    """What is behind the body of a known head is the next request."""
    with Wire(shared) as wire:
        wire.send(request(session, chat("one")))
        assert "one" in answer(wire)[1]
        models = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        wire.send(
            request(session, chat("two"))
            + request(session, chat("three"))
            + models.encode()
            + request(session, chat("four"))
        )
        assert "two" in answer(wire)[1]
        assert "three" in answer(wire)[1]
        assert wire.reply()[0].status == 200
        assert "four" in answer(wire)[1]


def test_the_upstream_gets_the_same_head_and_each_body(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """What is written once for several calls is what would have been written for each."""
    bodies = [chat("a"), chat("b" * 500), chat("c")]
    with Wire(shared) as wire:
        for number, body in enumerate(bodies):
            wire.send(request(f"{session}-{number}", body, more="X-Own: 1\r\n"))
            assert answer(wire)[0] == 200

    received = behind.requests
    assert [request.body for request in received] == bodies
    assert [request.header("content-length") for request in received] == [
        str(len(body)) for body in bodies
    ]
    assert {request.header("x-own") for request in received} == {"1"}
    assert {request.header("x-session-id") for request in received} == {None}


REFUSED = {
    "another-key": (401, dict(key="sk-wrong")),
    "an-empty-session": (400, dict(session="")),
    "a-slash-in-the-session": (400, dict(session="a/b")),
    "a-long-session": (400, dict(session="s" * 256)),
    "a-user-that-is-none": (400, dict(user="\x7f")),
    "a-body-that-is-none": (400, dict(body=b"[1]")),
    "no-body": (400, dict(body=b"")),
    "a-body-that-is-too-large": (413, dict(body=b" " * (21 * 1024 * 1024))),
}


@pytest.mark.parametrize(("status", "changed"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_first_is_refused_later(
    shared: RunningProxy,
    behind: ScriptedUpstream,
    session: str,
    status: int,
    changed: dict[str, object],
) -> None:
    """A good call before it on the same connection changes nothing."""
    with Wire(shared) as wire:
        wire.send(request(session, chat("good")))
        assert answer(wire)[0] == 200
        given = {"session": session, "body": chat("bad"), **changed}
        body = given["body"]
        assert isinstance(body, bytes)
        try:
            wire.send(request(**given))  # type: ignore[arg-type]
        except ConnectionError:
            assert status == 413
        assert answer(wire)[0] == status

    assert [said(request) for request in behind.requests] == ["good"]


def test_what_is_refused_in_front_of_a_good_call_is_not_taken_for_it_later(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Both came together, and the first was answered before the second was read."""
    wrong = request(session, chat("bad"), key=KEY[:-1] + "x")
    with Wire(shared) as wire:
        wire.send(wrong + request(session, chat("good")))
        assert [answer(wire)[0], answer(wire)[0]] == [401, 200]
        wire.send(wrong)
        assert answer(wire)[0] == 401

    assert [said(request) for request in behind.requests] == ["good"]


@pytest.mark.parametrize("sent", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_not_http_is_refused_after_a_good_call_too(
    shared: RunningProxy, behind: ScriptedUpstream, sent: str
) -> None:
    """The same bytes as those of the call before up to what is wrong with them."""
    with Wire(shared) as wire:
        wire.send(f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
        assert answer(wire)[0] == 200
        wire.send(sent.encode())
        head, body = wire.reply()
        assert wire.is_closed()

    assert (head.status, is_error_object(body)) == (400, True)
    assert len(behind.requests) == 1
