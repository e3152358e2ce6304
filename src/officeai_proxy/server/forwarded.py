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
        # Its reading of ports, brackets and several proxies in a row is the usual one.
        self._believing = ProxyHeadersMiddleware(self._checked, trusted)  # type: ignore[arg-type]  # ASGI, typed twice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        believing: ASGIApp = self._believing  # type: ignore[assignment]  # ASGI, typed twice
        await believing({**scope, "peer": scope.get("client")}, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.pop("peer", None)
        client = scope.get("client")
        if client is not None and client != peer and not is_address(client[0]):
            scope["client"] = peer
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
