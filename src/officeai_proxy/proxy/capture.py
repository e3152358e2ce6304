"""The bytes of one call in, one `Exchange` out, handed to the journal exactly once.

A capture keeps references to what passes by; it parses nothing and never waits, so that whatever
ends a call, its record is made in the same step.
"""

import re
import time
from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

from officeai_proxy.errors import ProxyError, RequestRefused, ShuttingDown, UpstreamTimedOut
from officeai_proxy.model import FIRST_ERROR_STATUS, Exchange, Outcome
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.headers import value_of
from officeai_proxy.proxy.upstream import Header
from officeai_proxy.wire.error_words import error_word_in
from officeai_proxy.wire.usage import model_in, usage_in

_DONE = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]\s*\Z")
_DONE_FITS_IN = 32
_SAYS_NOTHING = re.compile(rb"(?:\s++|:[^\r\n]*+)*+")  # White space, and comments of a stream.

TAIL = 4096
"""Bytes at either end of a reply that tell usage and model of a call without recording, and the
upstream's word for an error, if that is all of the reply."""


class Capture:
    """Follows one call from its admission to its end."""

    __slots__ = (
        "_beginning",
        "_call",
        "_first_byte",
        "_headers",
        "_is_recorded",
        "_keep",
        "_limit",
        "_pieces",
        "_status",
        "_tail_size",
        "_upstream",
        "is_settled",
        "received",
    )

    def __init__(self, call: Call, *, upstream: str, limit: int, keep: "Keep") -> None:
        """Record at most *limit* bytes of the reply; *keep* takes the exchange at the end."""
        self._call = call
        self._upstream = upstream
        self._limit = limit
        self._keep = keep
        self._is_recorded = call.is_recorded
        self._pieces: list[bytes] = []
        self._beginning = b""
        self._tail_size = 0
        self._first_byte: int | None = None
        self._status: int | None = None
        self._headers: list[Header] = []
        self.is_settled = False
        self.received = 0

    def head(self, status: int, headers: list[Header]) -> None:
        """The reply has begun."""
        self._status = status
        self._headers = headers

    def take(self, data: bytes) -> bool:
        """*data* came from the upstream; whether it ends with the last line of a chat's stream."""
        if self.is_settled:
            return False
        self.received += len(data)
        if self._first_byte is None and not _SAYS_NOTHING.fullmatch(data):
            self._first_byte = time.monotonic_ns()
        if not self._is_recorded:
            self._keep_tail(data)
            return False
        if self.received > self._limit:
            self._keep_what_fits(data)
            return False
        self._pieces.append(data)
        # Nearly all pieces end as an event with JSON does, and need no closer look.
        return data[-3:] != b"}\n\n" and self._ends_with_done()

    def _keep_what_fits(self, data: bytes) -> None:
        """However much comes at a time, the record has as much of it as it may."""
        room = self._limit - self.received + len(data)
        if room > 0:
            self._pieces.append(data[:room])

    def _keep_tail(self, data: bytes) -> None:
        self._pieces.append(data)
        self._tail_size += len(data)
        if self._tail_size > 2 * TAIL:
            kept = b"".join(self._pieces)
            self._beginning = self._beginning or kept[:TAIL]
            self._pieces = [kept[-TAIL:]]
            self._tail_size = TAIL

    def _ends_with_done(self) -> bool:
        """Whether the pieces, wherever they were cut, end with the line that ends a stream."""
        end = b""
        for piece in reversed(self._pieces):
            end = piece[-_DONE_FITS_IN:] + end
            if len(end) >= _DONE_FITS_IN:
                break
        return _DONE.search(end) is not None

    def settle(self, outcome: Outcome, *, error: str | None = None) -> None:
        """The call has ended like this; only the first word on it counts."""
        if self.is_settled:
            return
        self.is_settled = True
        is_truncated = self._is_recorded and self.received > self._limit
        if outcome is Outcome.COMPLETE and is_truncated:
            outcome = Outcome.TRUNCATED
        if outcome is Outcome.CLIENT_CLOSED and error is None and self._is_refused:
            # SDKs that will try again hang up at the status, often before the body has come.
            outcome = Outcome.UPSTREAM_ERROR
        reply = b"".join(self._pieces) if self._is_recorded else b""
        if error is None and not self._is_recorded and outcome is Outcome.COMPLETE:
            error = self._refusal()
        self._keep(self, self._exchange(outcome, error, reply))
        self._pieces = []

    def fail(self, error: ProxyError, *, is_told: bool) -> None:
        """The call failed with *error*; *is_told*: no reply has begun, so the caller gets that."""
        if is_told:
            self.head(error.status, [])
        self.settle(_outcome_of(error), error=f"{error.code}: {error.message}")

    def cut(self, *, is_told: bool) -> None:
        """The call is cut short, because the program ends; *is_told* as in `fail`."""
        if is_told:
            self.head(ShuttingDown.status, [])
        self.settle(Outcome.SHUTDOWN)

    def _refusal(self) -> str | None:
        """The upstream's word for why it refused a call of which nothing else is recorded."""
        if not self._is_refused:
            return None
        body = b"".join(self._pieces)
        if len(body) < self.received:
            return None
        return error_word_in(
            body,
            content_type=value_of(self._headers, b"content-type"),
            content_encoding=value_of(self._headers, b"content-encoding"),
        )

    @property
    def _is_refused(self) -> bool:
        return self._status is not None and self._status >= FIRST_ERROR_STATUS

    # While the call goes on, for its part-way record: see `partway`.

    @property
    def id(self) -> UUID:
        """The exchange's id."""
        return self._call.id

    @property
    def started_mono(self) -> int:
        """When the call began, in nanoseconds of the monotonic clock."""
        return self._call.started_mono

    @property
    def came(self) -> int:
        """How many pieces of the reply have come."""
        return len(self._pieces)

    def so_far(self, since: int) -> Exchange:
        """The exchange as it is; of the reply only what came after the first *since* pieces."""
        return self._exchange(Outcome.INTERRUPTED, None, b"".join(self._pieces[since:]))

    @property
    def sent(self) -> int:
        """Bytes of the request's body, where its length was stated."""
        return self._call.request.content_length or 0

    def _exchange(self, outcome: Outcome, error: str | None, reply: bytes) -> Exchange:
        call = self._call
        first = self._first_byte
        tail = b"" if self._is_recorded else b"".join(self._pieces)
        asked = call.model_asked  # A file of old replies, say, names models that served no call.
        told = model_in(self._beginning or tail[:TAIL], tail[-TAIL:]) if asked and tail else None
        return Exchange(
            id=call.id,
            workspace=call.caller.workspace,
            key_id=call.caller.key_id,
            method=call.method,
            path=call.path,
            upstream=self._upstream,
            started_ns=call.started_ns,
            duration_ns=time.monotonic_ns() - call.started_mono,
            outcome=outcome,
            client_ip=call.client_ip,
            is_recorded=self._is_recorded,
            session=call.session,
            user=call.user,
            status=self._status,
            first_byte_ns=None if first is None else first - call.started_mono,
            model_asked=call.model_asked,
            model_sent=call.model_sent,
            stream=call.is_stream,
            retry_count=call.retry_count,
            error=error,
            content_type=value_of(self._headers, b"content-type"),
            content_encoding=value_of(self._headers, b"content-encoding"),
            request_encoding=call.body_encoding,
            model_told=told,
            usage=self._usage_in(tail) if tail and call.may_spend else None,
            request=call.body,
            reply=reply,
        )

    def _usage_in(self, tail: bytes) -> str | None:
        """What the reply says that it took: most say so at the end, Perplexity's at the beginning.

        What a stream says at its beginning is what it had taken by then.
        """
        told = usage_in(tail[-TAIL:])
        if told is None and not self._call.is_stream:
            told = usage_in(self._beginning or tail[:TAIL])
        return told


def _outcome_of(error: ProxyError) -> Outcome:
    if isinstance(error, UpstreamTimedOut):
        return Outcome.UPSTREAM_TIMEOUT
    # A body that is passed on as it comes may turn out too large.
    return Outcome.CLIENT_CLOSED if isinstance(error, RequestRefused) else Outcome.UPSTREAM_ERROR


Keep: TypeAlias = Callable[[Capture, Exchange], None]
"""Takes a call's exchange at its end."""
