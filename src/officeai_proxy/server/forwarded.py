"""A request that a trusted proxy passed on in, the same with its caller's own address out.

What a proxy writes into `X-Forwarded-For` may be what its own caller wrote there. The address
becomes the name of a user and a line of the audit log, so only what is one is taken for one.
"""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from officeai_proxy.app import Application


class BehindProxies:
    """An application that believes its proxies who the caller is, as far as that can be true."""

    def __init__(self, application: Application, trusted: str) -> None:
        """Stand in front of *application*; *trusted* are addresses and networks, or `*`."""
        self._application = application
        trusted = ",".join(plain_address(listed.strip()) for listed in trusted.split(","))
        # Its reading of ports, brackets and several proxies in a row is the usual one.
        self._believing = ProxyHeadersMiddleware(self._checked, trusted)  # type: ignore[arg-type]  # ASGI, typed twice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        believing: ASGIApp = self._believing  # type: ignore[assignment]  # ASGI, typed twice
        await believing({**scope, "peer": scope.get("client")}, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.pop("peer", None)
        client = scope.get("client")
        if client is not None and client != peer:
            is_believed = is_address(client[0])
            scope["client"] = (plain_address(client[0]), client[1]) if is_believed else peer
        await self._application(scope, receive, send)


def is_address(text: str) -> bool:
    """Whether *text* is an IP address that means something on other machines too.

    The zone of an IPv6 address (RFC 4007) does not, and may be a text of any length.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def plain_address(text: str) -> str:
    """An IPv4 address as such, also where it came as IPv6 (`::ffff:10.0.0.1`; RFC 4291, 2.5.5.2).

    Sockets that listen for both kinds write it so. It is the same machine, whose name and whose
    trust shall not depend on where the program listens.
    """
    try:
        mapped = ipaddress.IPv6Address(text).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)
