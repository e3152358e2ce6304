"""Which headers pass, which stay here, and what the proxy's own ones mean."""

from uuid import UUID

import pytest
from tests.conftest import StartProxy
from tests.journey.wires import Wire, chat, record_of
from tests.proxies import KEY, RunningProxy
from tests.upstream import Answer, ReceivedRequest, Script, ScriptedUpstream, completion

CHATS = "/v1/chat/completions"
SECRET = "sk-upstream-secret"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X-Session-ID", [""]),
        ("X-Session-ID", ["   "]),
        ("X-Session-ID", ["a/b"]),
        ("X-Session-ID", ["a\tb"]),
        ("X-Session-ID", ["a\x85b"]),
        ("X-Session-ID", ["x" * 256]),
        ("X-Session-ID", ["é" * 256]),
        ("X-Session-ID", ["x" * 20_000]),
        ("X-Session-ID", ["one", "two"]),
        ("X-Session-ID", ["same", "same"]),
        ("X-User-ID", [""]),
        ("X-User-ID", ["a/b"]),
        ("X-User-ID", ["x" * 256]),
        ("X-User-ID", ["ann", "bob"]),
        ("X-Record", ["maybe"]),
        ("X-Record", ["off", "on"]),
        ("Authorization", [f"Bearer {KEY}"]),
    ],
)
def test_a_bad_header_is_refused_without_a_call(
    shared: RunningProxy, behind: ScriptedUpstream, name: str, values: list[str]
) -> None:
    """A name that cannot be one is 400 with the reason, and the upstream hears nothing."""
    with Wire(shared) as wire:
        wire.ask("POST", CHATS, *((name, value) for value in values), body=chat("hi"))
        head, body = wire.reply()

    assert head.status == 400
    assert name.encode() in body
    assert f'"param": "{name}"'.encode() in body
    assert behind.requests == []


def test_a_header_that_is_not_utf8_is_refused(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """Bytes that are no UTF-8 are 400, on calls that are no chat too."""
    with Wire(shared) as wire:
        head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        wire.send(head.encode() + b"X-User-ID: \xff\xfe\r\n\r\n")
        reply, body = wire.reply()

    assert (reply.status, b"UTF-8" in body) == (400, True)
    assert behind.requests == []


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic eDp5", f"bearer{KEY}"])
def test_without_a_right_key_nothing_is_forwarded(
    shared: RunningProxy, behind: ScriptedUpstream, given: str
) -> None:
    """A missing or wrong key is 401, in the words of OpenAI, and no call."""
    with Wire(shared) as wire:
        wire.ask("POST", CHATS, ("Authorization", given), body=chat("hi"), key=False)
        head, body = wire.reply()

    assert head.status == 401
    assert head.all(b"www-authenticate") == [b"Bearer"]
    assert b'"type": "invalid_request_error"' in body
    assert behind.requests == []


def test_what_a_client_says_to_this_proxy_stays_here(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Credentials, cookies, hop-by-hop and our own headers do not reach the upstream."""
    kept = {
        "X-Session-ID": session,
        "X-User-ID": "ann",
        "X-Record": "on",
        "X-Exchange-ID": "mine",
        "X-Session-Context-Sent": "3",
        "Cookie": "__cf_bm=1",
        "Connection": "keep-alive, X-Hop, x-other",
        "X-Hop": "1",
        "X-Other": "2",
        "Keep-Alive": "timeout=5",
        "TE": "trailers",
        "Trailer": "x",
        "Proxy-Authorization": "Basic eDp5",
        "Proxy-Connection": "keep-alive",
        "OpenAI-Organization": "org-1",
        "OpenAI-Project": "proj-1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "CF-Connecting-IP": "10.0.0.1",
        "Fly-Client-IP": "10.0.0.1",
        "True-Client-IP": "10.0.0.1",
        "X-Client-IP": "10.0.0.1",
        "X-Cluster-Client-IP": "10.0.0.1",
        "api-key": "azure-1",
        "X-API-Key": "anthropic-1",
        "Forwarded": "for=10.0.0.1",
        "Via": "1.1 x",
    }
    with Wire(shared) as wire:
        wire.ask("POST", CHATS, *kept.items(), body=chat("hi"))
        assert wire.reply()[0].status == 200

    (request,) = behind.requests
    assert {name for name, _ in request.headers} == {
        "host",
        "authorization",
        "accept-encoding",
        "content-length",
    }
    assert request.header("authorization") == f"Bearer {SECRET}"
    assert request.header("host") == behind.base_url.split("/")[2]


def test_what_a_client_says_to_the_upstream_arrives(
    shared: RunningProxy, behind: ScriptedUpstream
) -> None:
    """Everything else passes, repeated headers in their order and bytes beyond ASCII included."""
    passed = [
        ("content-type", "application/json; charset=utf-8"),
        ("user-agent", "OpenAI/Python 3"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "1"),
        ("x-stainless-retry-count", "0"),
        ("accept", "application/json"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-title", "é"),
    ]
    with Wire(shared) as wire:
        wire.ask("POST", CHATS, *passed, body=chat("hi"))
        assert wire.reply()[0].status == 200

    came = behind.requests[0].headers
    named = {name for name, _ in passed}
    assert [
        (name, value.encode("latin-1").decode()) for name, value in came if name in named
    ] == passed


@pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)
def test_a_clients_account_passes_when_the_proxy_has_no_key(
    upstream: ScriptedUpstream, start_proxy: StartProxy
) -> None:
    """Without a key of its own the proxy sends none, and leaves the account's names in."""
    proxy = start_proxy(UPSTREAM_API_KEY="")
    with proxy.client() as client:
        account = {"OpenAI-Organization": "org-1", "api-key": "azure-1"}
        client.get("/v1/models", headers=account)

    assert upstream.requests[0].header("api-key") == "azure-1"
    assert upstream.requests[0].header("openai-organization") == "org-1"
    assert upstream.requests[0].header("authorization") is None


def replies_with(*headers: tuple[str, str], events: bool = False) -> Script:
    """A script whose reply has these headers."""

    async def script(_: ReceivedRequest, answer: Answer) -> None:
        if events:
            await answer.begin_events(*headers)
            await answer.end_chunks()
        else:
            await answer.whole(completion("x"), *headers)

    return script


def test_what_speaks_of_the_upstreams_connection_stays_there(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Cookies, hop-by-hop headers, the upstream's server and our own names do not come back."""
    behind.script = replies_with(
        ("set-cookie", "__cf_bm=1"),
        ("set-cookie", "b=2"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("alt-svc", 'h3=":443"'),
        ("strict-transport-security", "max-age=1"),
        ("nel", '{"report_to": "x"}'),
        ("report-to", '{"group": "x"}'),
        ("x-session-context-sent", "9"),
        ("server", "cloudflare"),
        ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-session-id", "forged"),
        ("x-exchange-id", "forged"),
    )
    with Wire(shared) as wire:
        wire.say("hi", session)
        head, _ = wire.reply()

    names = sorted(name for name, _ in head.headers)
    expected = [b"content-length", b"content-type", b"date", b"x-exchange-id", b"x-session-id"]
    assert names == expected
    assert head.all(b"x-session-id") == [session.encode()]
    assert b"1970" not in head.all(b"date")[0]


def test_other_headers_of_a_reply_come_back(shared: RunningProxy, behind: ScriptedUpstream) -> None:
    """Everything else of the upstream's head passes, repeated headers in their order."""
    passed = [
        ("x-request-id", "req_1"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-remaining-tokens", "99"),
        ("cache-control", "no-store"),
        ("x-many", "1"),
        ("x-many", "2"),
    ]
    behind.script = replies_with(*passed, events=True)
    with Wire(shared) as wire:
        wire.say("hi", stream=True)
        head, _ = wire.reply()

    for name, value in passed:
        assert value.encode() in head.all(name.encode())
    assert head.all(b"x-many") == [b"1", b"2"]
    assert head.all(b"x-accel-buffering") == [b"no"]
    assert head.all(b"cache-control") == [b"no-store"]


@pytest.mark.parametrize("name", ["会话-1", "émile ß", "emoji 🎉", "a b;c=d", "x" * 255, "%2F.."])
def test_a_name_comes_back_and_is_found_as_it_was_given(shared: RunningProxy, name: str) -> None:
    """Any UTF-8 name comes back in the reply, in the list and in the log, ungarbled."""
    with Wire(shared) as wire:
        headers = ("X-Session-ID", name), ("X-User-ID", name)
        wire.ask("POST", CHATS, *headers, body=chat("hi"))
        head, _ = wire.reply()

    assert head.all(b"x-session-id") == [name.encode()]
    exchange = str(UUID(head.all(b"x-exchange-id")[0].decode()))
    (listed,) = shared.get("/conversations", user_identifier=name).json()["data"]
    assert (listed["session_id"], listed["user_identifier"]) == (name, name)
    assert record_of(shared, session=name)["exchange_id"] == exchange


def test_every_answer_to_a_recorded_call_names_session_and_exchange(
    shared: RunningProxy, behind: ScriptedUpstream, session: str
) -> None:
    """Also an error of the upstream, and an error of ours about the upstream, can be traced."""

    async def refuse(_: ReceivedRequest, answer: Answer) -> None:
        await answer.whole(b"{}", status=401)

    seen = []
    for script in (replies_with(), refuse, replies_with(events=True)):
        behind.script = script
        with shared.client(session) as client:
            reply = client.post(CHATS, content=chat("hi"))
        assert reply.headers["x-session-id"] == session
        seen.append(reply.headers["x-exchange-id"])
    assert len(set(seen)) == 3
    assert seen == sorted(seen)
