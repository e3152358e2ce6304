"""A raw exchange in, the turn that it adds to a conversation out; pure, and the only place where
request and reply bytes are parsed for the record.
"""

from dataclasses import dataclass

from officeai_proxy.model import (
    FIRST_ERROR_STATUS,
    LISTED_NAME,
    CallRecord,
    Exchange,
    NewMessage,
    Outcome,
    Usage,
    utc_from_ns,
)
from officeai_proxy.settings import MEGABYTE
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.encoding import UnknownEncoding
from officeai_proxy.wire.failures import ReplyError
from officeai_proxy.wire.messages import RequestMessages, reply_message
from officeai_proxy.wire.replies import Reply, read_reply, read_usage
from officeai_proxy.wire.requests import ChatRequest, read_request

DECODED_LIMIT = 256 * MEGABYTE
"""The largest body in bytes that is read for the record, unpacked if it is compressed."""

UNPACKED_LIMIT = 32 * MEGABYTE
"""Up to this many bytes, or else to four times its size, a compressed reply may grow."""

_ENDS = {
    Outcome.SHUTDOWN: "shutting_down: The proxy was stopped before the reply had ended.",
    Outcome.INTERRUPTED: "The proxy was killed before the reply had ended.",
}
"""Why a call failed of which nobody but this program can tell it."""

NO_MESSAGES = RequestMessages((), timestamp=utc_from_ns(0), model_name=None)


# Not frozen, as in `model`: one is made for every call.
@dataclass(slots=True, kw_only=True)
class Turn:
    """What one call adds: a line in the call log and, when it is recorded, messages.

    `replies` holds one message for each choice of the reply.
    """

    call: CallRecord
    is_recorded: bool = False
    request: RequestMessages = NO_MESSAGES
    replies: tuple[NewMessage, ...] = ()


def read_turn(exchange: Exchange) -> Turn:
    """The turn in *exchange*. Bytes that cannot be understood give no messages and no exception.

    Raises:
        UnknownEncoding: a body has a content encoding that is not read here, so that a turn would
            lack what was said.
    """
    if not exchange.is_recorded:
        usage = _usage_of(exchange.usage)
        reply = Reply((), usage, exchange.model_told, None, finished=True)
        return Turn(call=_call(exchange, reply, _outcome(exchange, reply)))
    request = _request_of(exchange)
    reply = read_reply(
        exchange.reply,
        content_type=exchange.content_type,
        content_encoding=exchange.content_encoding,
        limit=min(DECODED_LIMIT, max(UNPACKED_LIMIT, 4 * len(exchange.reply))),
        most_choices=request.choices,
    )
    outcome = _outcome(exchange, reply)
    call = _call(exchange, reply, outcome)
    is_refused = exchange.status is None or exchange.status >= FIRST_ERROR_STATUS
    return Turn(
        call=call,
        is_recorded=True,
        request=RequestMessages(
            request.messages, timestamp=call.started_at, model_name=exchange.model_asked
        ),
        replies=() if is_refused else _replies(exchange, reply, call),
    )


def _request_of(exchange: Exchange) -> ChatRequest:
    try:
        return read_request(
            exchange.request, encoding=exchange.request_encoding, limit=DECODED_LIMIT
        )
    except UnknownEncoding:
        raise
    except ValueError:
        return ChatRequest(model=None, stream=False, messages=())


def _replies(exchange: Exchange, reply: Reply, call: CallRecord) -> tuple[NewMessage, ...]:
    if not reply.choices:
        return ()
    counted = call.usage.completion_tokens if len(reply.choices) == 1 else None
    ended_at = exchange.ended_at
    messages = [
        reply_message(
            choice,
            timestamp=ended_at,
            model_name=_served(exchange, reply),
            token_count=counted,
            outcome=call.outcome,
        )
        for choice in reply.choices
    ]
    return tuple([m for m in messages if m.content or m.extra or m.outcome is Outcome.COMPLETE])


def _outcome(exchange: Exchange, reply: Reply) -> Outcome:
    """How the exchange ended, now that its bytes are understood.

    The hot path knows how the connection ended. A reply may end well on the wire and still carry an
    error, or stop without `[DONE]` and without a reason to finish.
    """
    if exchange.outcome is Outcome.CLIENT_CLOSED and reply.error is not None:
        # SDKs hang up when an error comes in a stream, often before the upstream has ended it.
        return Outcome.UPSTREAM_ERROR
    if exchange.outcome is not Outcome.COMPLETE:
        return exchange.outcome
    is_refused = exchange.status is not None and exchange.status >= FIRST_ERROR_STATUS
    if is_refused or reply.error is not None or not reply.finished:
        return Outcome.UPSTREAM_ERROR
    return Outcome.COMPLETE


def _call(exchange: Exchange, reply: Reply, outcome: Outcome) -> CallRecord:
    return CallRecord(
        exchange_id=exchange.id,
        workspace=exchange.workspace,
        key_id=exchange.key_id,
        method=exchange.method,
        path=exchange.path,
        upstream=exchange.upstream,
        started_at=exchange.started_at,
        latency_ms=exchange.duration_ns / 1e6,
        outcome=outcome,
        client_ip=exchange.client_ip,
        user=exchange.user,
        session=exchange.session,
        status=exchange.status,
        ttft_ms=None if exchange.first_byte_ns is None else exchange.first_byte_ns / 1e6,
        model_asked=_listed(exchange.model_asked),
        model_sent=exchange.model_sent,
        model_served=_listed(_served(exchange, reply)),
        stream=exchange.stream,
        retry_count=exchange.retry_count,
        error=exchange.error or _error_text(reply.error) or _reason(exchange, reply, outcome),
        usage=reply.usage,
    )


def _served(exchange: Exchange, reply: Reply) -> str | None:
    return reply.model or exchange.model_sent


def _listed(name: str | None) -> str | None:
    return name and name[:LISTED_NAME]


def _error_text(error: ReplyError | None) -> str | None:
    if error is None:
        return None
    label = error.code or error.type
    return f"{label}: {error.message}" if label else error.message


def _reason(exchange: Exchange, reply: Reply, outcome: Outcome) -> str | None:
    """Why *exchange*, of which nobody has told more, has this *outcome*."""
    is_refused = exchange.status is not None and exchange.status >= FIRST_ERROR_STATUS
    if is_refused and outcome is Outcome.UPSTREAM_ERROR:
        told = f"The upstream answered with status {exchange.status}"
        # Of a call that is not recorded nobody looked for more than a word, and a caller that has
        # hung up did not wait for one.
        is_whole = exchange.is_recorded and exchange.outcome is Outcome.COMPLETE
        return f"{told} and gave no reason." if is_whole else f"{told}."
    if outcome is exchange.outcome:
        return _ENDS.get(outcome)
    if not reply.choices:
        return "The upstream's reply holds no answer that can be read."
    return "The upstream's reply is not whole."


def _usage_of(text: str | None) -> Usage:
    try:
        return read_usage(jsontext.loads(text)) if text else Usage()
    except ValueError:
        return Usage()
