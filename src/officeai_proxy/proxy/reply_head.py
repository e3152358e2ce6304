"""A call and the upstream's reply headers in, the headers that its caller gets out."""

from collections.abc import Sequence

from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.headers import reply_headers
from officeai_proxy.proxy.upstream import Header

RATE_LIMIT = b"x-ratelimit-"


def headers_for_caller(call: Call, status: int, upstream: Sequence[Header]) -> list[Header]:
    """What of the *upstream* headers may pass, and ours."""
    if call.lease is not None:
        # One key of the upstream's stands behind all keys of ours: how it stands is no use to the
        # caller of a limited one, who would take it for the standing of that key.
        upstream = [header for header in upstream if not header[0].startswith(RATE_LIMIT)]
    return reply_headers(status, upstream, own_headers(call))


def own_headers(call: Call) -> list[Header]:
    """What this proxy says of the call itself, whatever became of it."""
    ours: list[Header] = [(b"x-exchange-id", str(call.id).encode())]
    if call.lease is not None:
        ours += call.lease.headers
    if call.is_recorded and call.session is not None:
        ours.append((b"x-session-id", call.session.encode()))
    if call.context_sent is not None:
        ours.append((b"x-session-context-sent", b"%d" % call.context_sent))
    return ours
