"""A forward proxy, as the environment names it: connections to the upstream lead through it.

HTTP proxies make a tunnel when they are asked to CONNECT (RFC 9110, section 9.3.6), SOCKS5 ones by
RFC 1928; both look up the upstream's name. An http upstream needs no tunnel of an HTTP proxy, which
many refuse: each request names it instead (RFC 9112, section 3.2.2). Nothing here reads a reply.
"""

import asyncio
import base64
import ipaddress
import re
import ssl
from typing import cast
from urllib.parse import unquote, urlsplit

from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.exchange import Header
from officeai_proxy.proxy.upstream.lookup import Lookup
from officeai_proxy.proxy.upstream.proxy_talk import ProxyTalk
from officeai_proxy.proxy.upstream.reaching import first_reached
from officeai_proxy.proxy.upstream.request_head import RequestForm
from officeai_proxy.proxy.upstream.tls import client_context

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ((\d)\d\d)(?: ([^\r\n]*))?\r\n")

_NO_LOGIN, _LOGIN = b"\0", b"\2"
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16}
_SOCKS_FAULTS = {
    1: "it failed",
    2: "its rules forbid it",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "nothing listens there",
    6: "it took too long",
    7: "it makes no connections",
    8: "it does not know this kind of address",
}
"""RFC 1928, section 6."""


class ForwardProxy:
    """One forward proxy."""

    def __init__(self, url: str) -> None:
        """The proxy at *url*, which has one of the schemes http, https, socks5 and socks5h, and a
        port; a user and a password may stand in it.
        """
        parts = urlsplit(url)
        self.address = Address.of(url)
        self._is_socks = parts.scheme.startswith("socks5")
        self._user = unquote(parts.username or "").encode()
        self._password = unquote(parts.password or "").encode()
        self._tls = client_context() if self.address.is_tls else None
        self._lookup = Lookup(self.address)

    def form(self, upstream: Address) -> RequestForm:
        """How requests to *upstream* are written when they go this way."""
        if self._makes_tunnel(upstream):
            return RequestForm(upstream.host_header)
        origin = b"http://" + upstream.host_header
        return RequestForm(upstream.host_header, origin=origin, headers=self._login())

    async def connect(
        self, upstream: Address, protocol: asyncio.Protocol, tls: ssl.SSLContext | None
    ) -> None:
        """Connect *protocol* to *upstream*, over *tls* if it is given.

        Raises:
            OSError: the proxy cannot be reached, or does not connect; or TLS fails.
        """
        loop = asyncio.get_running_loop()
        reached = await first_reached(await self._lookup.hosts(), self.address.port)
        transport, talk = await loop.create_connection(
            ProxyTalk,
            sock=reached.socket,
            ssl=self._tls,
            server_hostname=self.address.host if self._tls else None,
        )
        try:
            if self._is_socks:
                await self._ask_socks(talk, upstream)
            elif self._makes_tunnel(upstream):
                await self._ask_for_tunnel(talk, upstream)
            if tls is not None:
                talk, before = ProxyTalk(), talk
                before.end()
                secured = await loop.start_tls(transport, talk, tls, server_hostname=upstream.host)
                transport = cast("asyncio.Transport", secured)
            talk.end()
        except BaseException:
            transport.abort()
            raise
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _makes_tunnel(self, upstream: Address) -> bool:
        return self._is_socks or upstream.is_tls

    def _login(self) -> tuple[Header, ...]:
        """The header that lets us in (RFC 7617), if the proxy wants to know who we are."""
        if not (self._user or self._password):
            return ()
        told = base64.b64encode(b"%b:%b" % (self._user, self._password))
        return ((b"proxy-authorization", b"Basic " + told),)

    async def _ask_for_tunnel(self, talk: ProxyTalk, upstream: Address) -> None:
        name = b"[%b]" if ":" in upstream.host else b"%b"
        target = name % upstream.host.encode() + b":%d" % upstream.port
        lines = [b"CONNECT %b HTTP/1.1" % target, b"host: " + target]
        lines += [b"%b: %b" % header for header in self._login()]
        talk.send(b"\r\n".join([*lines, b"\r\n"]))
        said = _STATUS_LINE.match(await talk.until(b"\r\n\r\n"))
        if said is None:
            raise OSError("it speaks no HTTP")
        if said[2] != b"2":
            reason = (said[3] or b"").decode("ascii", "replace")
            hint = "; write user and password into its URL" if said[1] == b"407" else ""
            raise OSError(f"it answered {said[1].decode()} {reason}".rstrip() + hint)

    async def _ask_socks(self, talk: ProxyTalk, upstream: Address) -> None:
        methods = _NO_LOGIN + _LOGIN if self._user or self._password else _NO_LOGIN
        talk.send(b"\5%b" % _counted(methods))
        version, method = await talk.exactly(2)
        if version != 5:
            raise OSError("it speaks no SOCKS5")
        if method not in methods:
            raise OSError("it wants another login than its URL has: a user and a password, or none")
        if method == _LOGIN[0]:
            # RFC 1929.
            talk.send(b"\1%b%b" % (_counted(self._user), _counted(self._password)))
            if (await talk.exactly(2))[1]:
                raise OSError("it does not take the user and password in its URL")
        talk.send(b"\5\1\0%b%b" % (_socks_address(upstream.host), upstream.port.to_bytes(2, "big")))
        _, fault, _, kind = await talk.exactly(4)
        if fault:
            raise OSError(_SOCKS_FAULTS.get(fault, f"it refused with {fault}"))
        length = _ADDRESS_BYTES.get(kind) or (await talk.exactly(1))[0]
        await talk.exactly(length + 2)


def _counted(text: bytes) -> bytes:
    """*text* with its length in front."""
    if len(text) > 255:  # What fits into a byte.
        raise OSError("the name of the upstream, or a user or password, is too long for SOCKS5")
    return bytes([len(text)]) + text


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bytes([_NAME]) + _counted(host.encode())
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
