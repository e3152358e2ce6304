"""TLS to the upstream, against a server with a private authority."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from officeai_proxy.errors import UpstreamBroke, UpstreamUnreachable
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.tls import client_context


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_a_certificate_of_an_unknown_authority_is_refused(serve, direct, request_of) -> None:
    """Without its authority a server is not trusted, and the message says how to trust it."""

    async def script(link) -> None:
        await link.request()

    served = await serve(script, tls=server_context(trustme.CA(), "127.0.0.1"))
    with pytest.raises(UpstreamUnreachable, match="SSL_CERT_FILE") as caught:
        await direct(served.url).exchange().send(request_of())
    assert "127.0.0.1" in caught.value.message
    assert "sk-secret" not in caught.value.message


async def test_a_certificate_for_another_name_is_refused(
    serve, direct, request_of, authority: trustme.CA
) -> None:
    """A trusted certificate for another host is not good enough."""

    async def script(link) -> None:
        await link.request()

    served = await serve(script, tls=server_context(authority, "elsewhere.example"))
    with pytest.raises(UpstreamUnreachable, match="not trusted"):
        await direct(served.url).exchange().send(request_of())


async def test_plain_http_behind_an_https_url_is_named(serve, direct, request_of) -> None:
    """A server that speaks no TLS gives an error that says to check for https."""

    async def script(link) -> None:
        await link.reader.read(1)
        await link.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    served = await serve(script)
    with pytest.raises(UpstreamUnreachable, match="https"):
        await direct(served.url.replace("http:", "https:")).exchange().send(request_of())


async def test_calls_over_tls_share_a_connection(
    serve, direct, request_of, authority: trustme.CA
) -> None:
    """With SSL_CERT_FILE the server is trusted; HTTP/1.1 is agreed on, and the link is kept."""
    protocols: list[str | None] = []

    async def script(link) -> None:
        protocols.append(link.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        while True:
            await link.request()
            await link.chunked_head()
            await link.chunk(b"x" * 100_000)
            await link.chunk(b"end")
            await link.send(b"0\r\n\r\n")

    served = await serve(script, tls=server_context(authority, "127.0.0.1"))
    upstream = direct(served.url)
    for _ in range(3):
        exchange = upstream.exchange()
        await exchange.send(request_of(b"y" * 300_000))
        body = b""
        while pieces := await exchange.read():
            body += b"".join(pieces)
        assert body == b"x" * 100_000 + b"end"
    assert protocols == ["http/1.1"]


async def test_the_next_address_is_tried_over_tls(
    serve, direct, request_of, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that hangs up while TLS begins is none; one whose certificate is wrong is the one."""
    hosts = ["127.0.0.3", "127.0.0.1"]

    async def answer(link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    def infos(_: str, port: int, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    served = await serve(answer, tls=server_context(authority, "llm.example"))
    port = Address.of(served.url).port
    monkeypatch.setattr(socket, "getaddrinfo", infos)
    async with await asyncio.start_server(hang_up, "127.0.0.3", port):
        exchange = direct(f"https://llm.example:{port}").exchange()
        await exchange.send(request_of())
        assert exchange.status == 204

        with pytest.raises(UpstreamUnreachable, match="not trusted"):
            await direct(f"https://other.example:{port}").exchange().send(request_of())

        hosts.pop()
        with pytest.raises(UpstreamUnreachable, match="closed at once"):
            await direct(f"https://llm.example:{port}").exchange().send(request_of())


async def test_an_aborted_call_over_tls_closes_its_socket(
    serve, direct, request_of, authority: trustme.CA
) -> None:
    """abort() closes a TLS connection like a plain one."""

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        await link.gone()

    served = await serve(script, tls=server_context(authority, "127.0.0.1"))
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    exchange.abort()
    await served.all_closed.wait()


async def test_a_tls_upstream_that_dies_in_mid_reply_is_reported(
    serve, direct, request_of, authority: trustme.CA
) -> None:
    """A reply cut off over TLS raises after its pieces, like one over TCP."""

    async def script(link) -> None:
        await link.request()
        await link.chunked_head()
        await link.chunk(b"half")
        link.reset()

    served = await serve(script, tls=server_context(authority, "127.0.0.1"))
    exchange = direct(served.url).exchange()
    await exchange.send(request_of())
    assert await exchange.read() == [b"half"]
    with pytest.raises(UpstreamBroke):
        await exchange.read()


def test_the_public_authorities_are_trusted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA
) -> None:
    """Where the system has no authorities (or others), certifi's are there."""
    context: ssl.SSLContext = client_context()
    assert context.cert_store_stats()["x509_ca"] > 50
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
