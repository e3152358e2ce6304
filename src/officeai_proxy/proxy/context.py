"""A call that asks for its session's history in, the same call with that history in its body out.

For clients that have no memory of their own. Only such calls wait for a database; what is added is
sent and never recorded, for it is stored already.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from officeai_proxy.auth.permissions import check_scope
from officeai_proxy.errors import BodyTooLarge, InvalidRequest
from officeai_proxy.model import Caller, JsonObject, Scope
from officeai_proxy.proxy.call import Call
from officeai_proxy.settings import MEGABYTE, Settings
from officeai_proxy.wire.context import Budget, context_of, with_context
from officeai_proxy.wire.requests import read_request

HEADER = "X-Session-Context"

SLACK = 16
"""How many more messages are read than are sent, because some of them may have to be left out."""


class Remembered(Protocol):
    """The newest messages of a session's path."""

    @property
    def messages(self) -> Sequence[JsonObject]:
        """They, as OpenAI has them, oldest first."""

    @property
    def is_broken_off(self) -> bool:
        """Whether the last one is half of an answer, whose call failed."""


class SessionMemory(Protocol):
    """What a context needs of storage."""

    async def newest(
        self, caller: Caller, session: str, user: str | None, *, client_ip: str, count: int
    ) -> Remembered:
        """The newest *count* messages of the session's path.

        Raises:
            DatabaseUnavailable: they cannot be read at the moment.
        """


class ContextAdder:
    """Puts what a session holds before what is new."""

    def __init__(self, memory: SessionMemory, settings: Settings) -> None:
        """Take messages from *memory*, as many as *settings* allow."""
        self._memory = memory
        self._most = settings.context_messages
        self._tokens = settings.context_tokens
        self._limit = settings.max_body_bytes

    def wanted(self, value: bytes, caller: Caller, *, is_recorded: bool) -> int:
        """How many messages the header's *value* asks for, at most.

        Raises:
            InvalidRequest: it is no number and not `all`, or the call is not recorded.
            NotAllowed: the key may not read what is stored, and the model could be made to tell.
        """
        if not is_recorded:
            raise InvalidRequest(
                f"{HEADER} is for recorded chat calls; send X-Session-ID with it, and no "
                "`X-Record: off`.",
                param=HEADER,
            )
        check_scope(caller, Scope.READ)
        if value == b"all":
            return self._most
        if not value.isdigit() or len(value) > len(str(self._most)) or int(value) > self._most:
            raise InvalidRequest(
                f"{HEADER} can be `all` or a number of messages, at most {self._most}.",
                param=HEADER,
            )
        return int(value)

    async def added(self, call: Call) -> Call:
        """*call* with the newest messages of its session before its own.

        Raises:
            InvalidRequest: its body is compressed.
            BodyTooLarge: with the messages it is larger than a body may be.
            DatabaseUnavailable: the history cannot be read at the moment.
        """
        try:
            return await self._added(call)
        except BaseException:
            if call.lease is not None:
                call.lease.settle(0)
            raise

    async def _added(self, call: Call) -> Call:
        if call.body_encoding not in ("", "identity"):
            raise InvalidRequest(
                f"{HEADER} puts messages into the body, so it must not be compressed.", param=HEADER
            )
        context = await self._context(call)
        body = call.request.body
        if not context or not isinstance(body, bytes):
            return replace(call, context_sent=0)
        longer = with_context(body, context)
        if len(longer) > self._limit:
            raise BodyTooLarge(
                f"With the {len(context)} messages that {HEADER} asks for, the body is larger than "
                f"{self._limit / MEGABYTE:g} MB. Ask for fewer."
            )
        request = replace(call.request, body=longer, content_length=len(longer))
        return replace(call, request=request, context_sent=len(context))

    async def _context(self, call: Call) -> list[JsonObject]:
        new = read_request(call.body, encoding=call.body_encoding, limit=self._limit).messages
        count = call.context or 0
        if not new or not count or call.session is None:
            return []
        known = await self._memory.newest(
            call.caller, call.session, call.user, client_ip=call.client_ip, count=count + SLACK
        )
        budget = Budget(count, self._tokens)
        return context_of(known.messages, new, budget, is_broken_off=known.is_broken_off)
