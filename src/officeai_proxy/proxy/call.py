"""An admitted call: what a caller wants, in the form that forwarding and capturing need."""

from dataclasses import dataclass
from uuid import UUID

from officeai_proxy.auth.limits.ledger import Lease
from officeai_proxy.model import Caller
from officeai_proxy.proxy.upstream import UpstreamRequest

SPENDING = "POST"
"""The method of calls that can take tokens: only those do that make something.

Whoever reads back what was made is told its usage once more, and has not spent it again.
"""


# Not frozen, as in `model`: these are made for every call.
@dataclass(slots=True, kw_only=True)
class Call:
    """One call on its way; `is_recorded`: its content goes into the conversation of `session`.

    `started_ns` is nanoseconds since 1970, `started_mono` of the monotonic clock. `body` is what
    the caller sent; the request to the upstream may name another model. `lease` is None for a key
    without limits. `context` is how many messages of the session the caller wants sent before its
    own, None for none, and `context_sent` how many there were.
    """

    id: UUID
    caller: Caller
    method: str
    path: str
    client_ip: str
    started_ns: int
    started_mono: int
    request: UpstreamRequest
    is_recorded: bool = False
    session: str | None = None
    user: str | None = None
    body: bytes = b""
    body_encoding: str = ""
    model_asked: str | None = None
    model_sent: str | None = None
    is_stream: bool = False
    retry_count: int = 0
    lease: Lease | None = None
    context: int | None = None
    context_sent: int | None = None

    @property
    def may_spend(self) -> bool:
        """Whether the call can take tokens."""
        return self.method == SPENDING
