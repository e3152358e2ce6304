"""The ways to an upstream: TLS, forward proxies, base URLs of every shape, other model names."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.conftest import StartProxy
from tests.journey.forward_proxies import ForwardProxy
from tests.journey.wires import chat, record_of
from tests.proxies import RunningProxy
from tests.upstream import ScriptedUpstream, stream_of

CHATS = "/v1/chat/completions"
NAME = "llm.example"

pytestmark = pytest.mark.parametrize("prepared_url", ["sqlite"], indirect=True)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


@pytest.fixture
def trust(tmp_path: Path, authority: trustme.CA) -> dict[str, str]:
    """The environment that trusts `authority`."""
    return {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}


def context_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def tls_upstream(authority: trustme.CA) -> Iterator[ScriptedUpstream]:
    """An upstream that speaks TLS under the names localhost and llm.example."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", NAME).configure_cert(context)
    with ScriptedUpstream(ssl=context) as running:
        yield running


def streams_well(proxy: RunningProxy) -> None:
    """Make a streamed call and check that it passed and was recorded."""
    with proxy.client("s1") as client:
        reply = client.post(CHATS, content=chat("hello", stream=True))
    assert reply.content == b"".join(stream_of("echo: hello")), reply.text
    assert proxy.path_of("s1") == [("user", "hello"), ("assistant", "echo: hello")]


def is_refused(proxy: RunningProxy, hint: str) -> None:
    """Make a call and check that the upstream was not believed."""
    with proxy.client("s1") as client:
        reply = client.post(CHATS, content=chat("hello"))
    assert reply.status_code == 502
    assert hint in reply.json()["error"]["message"]


def test_a_certificate_of_an_unknown_authority_is_refused(
    start_proxy: StartProxy, tls_upstream: ScriptedUpstream
) -> None:
    """Without SSL_CERT_FILE a private authority is not trusted, and the message names it."""
    is_refused(start_proxy(UPSTREAM_BASE_URL=tls_upstream.base_url), "SSL_CERT_FILE")
    assert tls_upstream.requests == []


def test_a_certificate_of_another_name_is_refused(
    start_proxy: StartProxy, authority: trustme.CA, trust: dict[str, str]
) -> None:
    """The right authority does not make a wrong name right: the key goes nowhere."""
    with ScriptedUpstream(ssl=context_for(authority, "other.example")) as upstream:
        proxy = start_proxy(UPSTREAM_BASE_URL=upstream.base_url, environment=trust)
        is_refused(proxy, "certificate")
        assert upstream.requests == []


def test_a_private_authority_is_trusted_when_it_is_named(
    start_proxy: StartProxy, tls_upstream: ScriptedUpstream, trust: dict[str, str]
) -> None:
    """SSL_CERT_FILE makes calls over TLS work."""
    streams_well(start_proxy(UPSTREAM_BASE_URL=tls_upstream.base_url, environment=trust))


@pytest.mark.parametrize(
    ("variable", "speaks_socks"), [("https_proxy", False), ("ALL_PROXY", True)]
)
def test_a_tls_upstream_is_reached_through_a_forward_proxy(
    start_proxy: StartProxy,
    tls_upstream: ScriptedUpstream,
    trust: dict[str, str],
    variable: str,
    speaks_socks: bool,
) -> None:
    """The forward proxy is asked for the upstream by name, and TLS goes through to the upstream."""
    with ForwardProxy(tls_upstream.port, speaks_socks=speaks_socks) as forward:
        environment = {**trust, variable: forward.url}
        proxy = start_proxy(UPSTREAM_BASE_URL=f"https://{NAME}/v1", environment=environment)
        streams_well(proxy)

    assert [asked.partition(":")[0] for asked in forward.asked] == [NAME]
    assert tls_upstream.requests[0].header("host") == NAME


def test_a_plain_upstream_is_reached_through_a_forward_proxy(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """HTTP_PROXY is asked for the whole address, and the query comes through."""
    with ForwardProxy(upstream.port, speaks_socks=False) as forward:
        environment = {"HTTP_PROXY": forward.url}
        proxy = start_proxy(UPSTREAM_BASE_URL=f"http://{NAME}/v1", environment=environment)
        assert f"through the forward proxy {forward.url.removeprefix('http://')}" in proxy.banner
        streams_well(proxy)
        with proxy.client() as client:
            client.get("/v1/models?a=1&a=%20")

    assert forward.asked[0] == f"http://{NAME}{CHATS}"
    assert upstream.requests[-1].target.endswith("/v1/models?a=1&a=%20")


@pytest.mark.parametrize("more", [{"NO_PROXY": NAME}, {"OFFICEAI_UPSTREAM_TRUST_ENV": "false"}])
def test_no_proxy_means_no_proxy(
    start_proxy: StartProxy, upstream: ScriptedUpstream, more: dict[str, str]
) -> None:
    """A name in NO_PROXY is not asked of the forward proxy; nor is any, if that is the setting."""
    with ForwardProxy(upstream.port, speaks_socks=False) as forward:
        environment = {"HTTP_PROXY": forward.url, **more}
        proxy = start_proxy(UPSTREAM_BASE_URL=f"http://{NAME}/v1", environment=environment)
        is_refused(proxy, NAME)

    assert forward.asked == []


def test_an_upstream_on_this_machine_needs_no_proxy(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """No forward proxy could find 127.0.0.1."""
    with ForwardProxy(upstream.port, speaks_socks=False) as forward:
        streams_well(start_proxy(environment={"ALL_PROXY": forward.url}))

    assert forward.asked == []


@pytest.mark.parametrize("path", ["", "/v1/", "/openai/deployments/a%20b/v1"])
def test_the_path_of_the_base_url_takes_the_place_of_v1(
    start_proxy: StartProxy, upstream: ScriptedUpstream, path: str
) -> None:
    """Whatever path the base URL has, with or without a slash, calls go right under it."""
    proxy = start_proxy(UPSTREAM_BASE_URL=f"http://127.0.0.1:{upstream.port}{path}")
    streams_well(proxy)

    assert upstream.requests[0].target == path.rstrip("/") + "/chat/completions"


def test_an_aliased_model_is_the_only_change_to_a_body(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """The upstream gets its own name for the model, every other byte as it was sent, and the
    record keeps both names.
    """
    proxy = start_proxy(MODEL_ALIASES='{"officeai": "gpt-big"}')
    body = (
        b'{ "x": {"model": "officeai"}, "model" :\t"officeai",'
        b'"messages":[{"role":"user","content":"say \\"model\\": \\"officeai\\" \\u4f60"}]}\n'
    )
    with proxy.client("s1") as client:
        assert client.post(CHATS, content=body).status_code == 200
        client.post(CHATS, content=chat("next"))

    sent = body.replace(b':\t"officeai"', b':\t"gpt-big"')
    assert upstream.requests[0].body == sent
    assert upstream.requests[1].json()["model"] == "m"
    line = proxy.get("/history").json()["history"][1]
    assert (line["params"]["model"], line["model"]) == ("officeai", "gpt-test")
    first, answer = proxy.get("/conversations/s1/messages").json()["data"][:2]
    assert (first["model_name"], answer["model_name"]) == ("officeai", "gpt-test")


def test_an_alias_counts_for_other_calls_too(
    start_proxy: StartProxy, upstream: ScriptedUpstream
) -> None:
    """Embeddings and forms name models as well; a reply without a model keeps the one sent."""
    proxy = start_proxy(MODEL_ALIASES='{"officeai": "gpt-big"}')
    with proxy.client(user="ann") as client:
        client.post("/v1/embeddings", json={"model": "officeai", "input": "x"})

    assert upstream.requests[0].json() == {"model": "gpt-big", "input": "x"}
    line = record_of(proxy, user="ann")
    assert (line["params"], line["model"]) == ({"model": "officeai", "stream": False}, "gpt-big")

    recording = os.urandom(100_000)
    with proxy.client(user="ben") as client:
        form = client.build_request(
            "POST",
            "/v1/audio/transcriptions",
            files={"file": ("a.mp3", recording), "model": (None, "officeai")},
        )
        sent = form.read()
        client.send(form)

    assert upstream.requests[1].body == sent.replace(b"officeai", b"gpt-big")
    line = record_of(proxy, user="ben")
    assert (line["params"], line["model"]) == ({"model": "officeai", "stream": False}, "gpt-big")
