"""The only HTTP client of the proxy: a request goes to the upstream, its reply comes back as bytes.

`upstream_of` gives the way to the upstream that settings and environment ask for; callers know only
what is named here. Nothing here decodes, parses or records a body.
"""

from officeai_proxy.proxy.upstream.choose import choose_upstream, upstream_of
from officeai_proxy.proxy.upstream.connection import WentStale
from officeai_proxy.proxy.upstream.exchange import (
    Header,
    HeadStart,
    UpstreamAborted,
    UpstreamExchange,
    UpstreamRequest,
)
from officeai_proxy.proxy.upstream.pooled import PooledUpstream
from officeai_proxy.proxy.upstream.relayed import RelayedExchange
from officeai_proxy.proxy.upstream.sink import ReplySink
from officeai_proxy.proxy.upstream.timeouts import Timeouts

__all__ = [
    "HeadStart",
    "Header",
    "PooledUpstream",
    "RelayedExchange",
    "ReplySink",
    "Timeouts",
    "UpstreamAborted",
    "UpstreamExchange",
    "UpstreamRequest",
    "WentStale",
    "choose_upstream",
    "upstream_of",
]
