"""Forward proxies that want to know who comes, and what they may say instead of connecting."""

import base64

import pytest

from officeai_proxy.errors import UpstreamUnreachable
from officeai_proxy.proxy.upstream import PooledUpstream, Timeouts
from officeai_proxy.proxy.upstream.forward_proxy import ForwardProxy

PATIENT = Timeouts(connect=60, first_byte=60, idle=60)

LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(b"ann:p@ss:w\xc3\xb6rd")

SOCKS_NAME = b"\x05\x01\x00\x03\x0bllm.example\x00\x50"
SOCKS_LOGIN = b"\x01\x03ann\x0ap@ss:w\xc3\xb6rd"
SOCKS_DONE = b"\x05\x00\x00\x01" + bytes(6)


@pytest.fixture
async def behind(serve):
    """A function that gives an upstream behind a forward proxy which follows a script."""
    made: list[PooledUpstream] = []

    async def start(script, url: str, base_url: str) -> PooledUpstream:
        port = (await serve(script)).url.rpartition(":")[2]
        made.append(PooledUpstream(base_url, PATIENT, proxy=ForwardProxy(url.format(port=port))))
        return made[-1]

    yield start
    for upstream in made:
        await upstream.close()


async def test_an_http_proxy_is_told_who_comes(behind, request_of) -> None:
    """With each request that it reads itself, and nobody else; its refusal is no reply."""

    async def script(link) -> None:
        heads.append((await link.request()).head)
        await link.ok()
        heads.append((await link.request()).head)
        await link.send(b"HTTP/1.1 407 Who?\r\nContent-Length: 5\r\n\r\nlogin")

    heads: list[bytes] = []
    url = "http://ann:p%40ss%3Aw%C3%B6rd@127.0.0.1:{port}"
    upstream = await behind(script, url, "http://llm.example:8080")
    exchange = upstream.exchange()
    await exchange.send(request_of(target=b"/v1/x?{y}"))
    assert await exchange.read() == [b"ok"]
    with pytest.raises(UpstreamUnreachable, match=r"forward proxy 127.*user and password"):
        await upstream.exchange().send(request_of())
    assert heads[0].startswith(b"POST http://llm.example:8080/v1/x?{y} HTTP/1.1\r\n")
    assert all(LOGIN.lower() in head.lower().splitlines() for head in heads)


async def test_a_tunnel_is_asked_for_with_the_login(behind, request_of) -> None:
    """CONNECT carries it, and a refusal says where it is written."""

    async def script(link) -> None:
        heads.append(await link.head())
        await link.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    heads: list[bytes] = []
    url = "http://ann:p%40ss%3Aw%C3%B6rd@127.0.0.1:{port}"
    upstream = await behind(script, url, "https://[fd00::7]/v1")
    with pytest.raises(UpstreamUnreachable, match=r"407 Proxy.*user and password") as caught:
        await upstream.exchange().send(request_of())
    assert "p@ss" not in caught.value.message
    assert heads[0].startswith(b"CONNECT [fd00::7]:443 HTTP/1.1\r\nhost: [fd00::7]:443\r\n")
    assert LOGIN.lower() in heads[0].lower().splitlines()


@pytest.mark.parametrize(
    ("base_url", "asked"),
    [
        ("http://llm.example", SOCKS_NAME),
        ("http://10.0.0.7", b"\x05\x01\x00\x01\x0a\x00\x00\x07\x00\x50"),
        ("http://[fd00::7]", b"\x05\x01\x00\x04\xfd" + bytes(14) + b"\x07\x00\x50"),
    ],
)
async def test_a_socks_proxy_is_told_who_comes(
    behind, request_of, base_url: str, asked: bytes
) -> None:
    """By RFC 1929, before it is told the upstream; names go to it as names."""

    async def script(link) -> None:
        said.append(await link.reader.readexactly(4))
        await link.send(b"\x05\x02")
        said.append(await link.reader.readexactly(len(SOCKS_LOGIN)))
        await link.send(b"\x01\x00")
        said.append(await link.reader.readexactly(len(asked)))
        # In two parts, and with a name as the address that it connects from.
        await link.send(b"\x05\x00\x00\x03\x02")
        await link.send(b"me\x00\x00")
        await link.request()
        await link.ok()

    said: list[bytes] = []
    url = "socks5://ann:p%40ss%3Aw%C3%B6rd@127.0.0.1:{port}"
    upstream = await behind(script, url, base_url)
    exchange = upstream.exchange()
    await exchange.send(request_of())
    assert await exchange.read() == [b"ok"]
    assert said == [b"\x05\x02\x00\x02", SOCKS_LOGIN, asked]


@pytest.mark.parametrize(
    ("scheme", "answers", "reason"),
    [
        ("http", [b""], "hung up"),
        ("http", [b"SSH-2.0-x\r\n\r\n"], "no HTTP"),
        ("http", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000], "too much"),
        ("http", [b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n"], "more than it was asked"),
        ("http", [b"HTTP/1.1 503 \xff\r\n\r\n"], "503"),
        ("socks5", [b""], "hung up"),
        ("socks5", [b"HTTP"], "no SOCKS5"),
        ("socks5", [b"\x05\x00"], "hung up"),
        ("socks5", [b"\x05\xff"], "user and a password"),
        ("socks5", [b"\x05\x02"], "user and a password"),
        ("socks5", [b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)], "nothing listens"),
        ("socks5", [b"\x05\x00", b"\x05\x63\x00\x01" + bytes(6)], "99"),
        ("socks5", [b"\x05\x00", SOCKS_DONE + b"HTTP/1.1 200 OK\r\n"], "more than it was asked"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_told_at_once(
    behind, request_of, scheme: str, answers: list[bytes], reason: str
) -> None:
    """What it said instead, in words, and what to look at; nobody waits for the time limit."""

    async def script(link) -> None:
        for answer in answers:
            await link.reader.read(65536)
            await link.send(answer)

    base_url = "https://llm.example" if scheme == "http" else "http://llm.example"
    upstream = await behind(script, scheme + "://127.0.0.1:{port}", base_url)
    with pytest.raises(UpstreamUnreachable, match=reason) as caught:
        await upstream.exchange().send(request_of())
    assert "forward proxy 127.0.0.1:" in caught.value.message
    assert "HTTPS_PROXY" in caught.value.message


@pytest.mark.parametrize("host", ["a" * 63 + ".example", ".".join(["a" * 60] * 5)])
async def test_a_name_that_socks_cannot_say_is_told(behind, request_of, host: str) -> None:
    """Its length has one byte there."""

    async def script(link) -> None:
        await link.reader.readexactly(3)
        await link.send(b"\x05\x00")
        await link.reader.read(65536)
        await link.send(b"\x05\x04\x00\x01" + bytes(6))

    upstream = await behind(script, "socks5h://127.0.0.1:{port}", f"http://{host}")
    reason = "too long" if len(host) > 255 else "host cannot be reached"
    with pytest.raises(UpstreamUnreachable, match=reason):
        await upstream.exchange().send(request_of())
