"""The bytes of a limited key's call in, the tokens that it took out; calls of other keys never come
here.

What the upstream counted is taken where the reply says it. Where it does not, because the reply was
cut or has no `usage`, the tokens are estimated from what came. Only calls that may spend take any.
"""

from typing import cast

from typing_extensions import override

from officeai_proxy.auth.limits.estimate import BYTES_PER_TOKEN
from officeai_proxy.auth.limits.ledger import Lease
from officeai_proxy.model import FIRST_ERROR_STATUS, JsonObject, Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.capture import TAIL, Capture, Keep
from officeai_proxy.proxy.headers import value_of
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.usage import usage_in

_EVENT = b"data:"
_EVENTS = "text/event-stream"


class MeteredCapture(Capture):
    """A capture that settles its call's lease in the step in which the call ends."""

    def __init__(self, call: Call, lease: Lease, *, upstream: str, limit: int, keep: Keep) -> None:
        """As `Capture`; *lease* is given back at the end."""
        super().__init__(call, upstream=upstream, limit=limit, keep=keep)
        self._lease = lease
        self._counts_tokens = lease.counts_tokens and call.may_spend
        self._meter = Meter(prompt_tokens=lease.estimate.prompt)

    @override
    def head(self, status: int, headers: list[Header]) -> None:
        self._meter.head(status, headers)
        super().head(status, headers)

    @override
    def take(self, data: bytes) -> bool:
        if self._counts_tokens and not self.is_settled:
            self._meter.take(data)
        return super().take(data)

    @override
    def settle(self, outcome: Outcome, *, error: str | None = None) -> None:
        try:
            super().settle(outcome, error=error)
        finally:
            tokens = self._meter.tokens(outcome) if self._counts_tokens else 0
            self._lease.settle(tokens)


class Meter:
    """Counts what comes of one reply."""

    def __init__(self, *, prompt_tokens: int) -> None:
        """*prompt_tokens* is what the question was taken for."""
        self._prompt_tokens = prompt_tokens
        self._status: int | None = None
        self._content_type = ""
        self._beginning = b""
        self._end = b""
        self._size = 0
        self._events = 0

    def head(self, status: int, headers: list[Header]) -> None:
        """The reply has begun."""
        self._status = status
        self._content_type = value_of(headers, b"content-type").lower()

    def take(self, data: bytes) -> None:
        """*data* came from the upstream."""
        if len(self._beginning) < TAIL:
            self._beginning += data[: TAIL - len(self._beginning)]
        self._end = (self._end + data[-TAIL:])[-TAIL:]
        self._size += len(data)
        self._events += data.count(_EVENT)

    def tokens(self, outcome: Outcome) -> int:
        """The tokens of the call, which ended like *outcome*; none of one that failed."""
        if self._status is not None and self._status >= FIRST_ERROR_STATUS:
            return 0
        if self._status is None and outcome is not Outcome.CLIENT_CLOSED:
            return 0
        told = tokens_in(usage_in(self._end) or usage_in(self._beginning))
        if told is not None:
            return told
        return self._prompt_tokens + self._answer_tokens()

    def _answer_tokens(self) -> int:
        """An event carries about one token; text that is not in events has four bytes in one."""
        if self._content_type.startswith(_EVENTS):
            return self._events
        return self._size // BYTES_PER_TOKEN if "json" in self._content_type else 0


def tokens_in(usage: str | None) -> int | None:
    """The tokens that the JSON object *usage* tells of, all together; None when it tells none."""
    if usage is None:
        return None
    told = cast("JsonObject", jsontext.loads(usage))
    total = _count(told.get("total_tokens"))
    if total is not None:
        return total
    parts = [_either(told, *names) for names in _PARTS]
    counted = [part for part in parts if part is not None]
    return sum(counted) if counted else None


# Some servers tell each under both of its names.
_PARTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))

# What the ledger keeps is 64 bits wide, and no call takes so many tokens.
_MOST = 10**12


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return min(value, _MOST)


def _either(told: JsonObject, name: str, other: str) -> int | None:
    count = _count(told.get(name))
    return _count(told.get(other)) if count is None else count
