"""Where a connection stands, for whoever loses patience with it, and how this side ends it.

A layer over uvicorn's protocol class, which waits for slow clients for ever. Nothing here reads
what comes.
"""

from typing import cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from officeai_proxy.errors import ProxyError
from officeai_proxy.server.last_reply import LastReply
from officeai_proxy.server.patience import Standing, Waiting
from officeai_proxy.server.pipelined import PipelinedProtocol
from officeai_proxy.server.read_progress import read_progress
from officeai_proxy.server.refusals import TooSlow, raw_answer


class WatchedProtocol(PipelinedProtocol):
    """uvicorn's protocol as `patience` looks after it.

    Whoever extends it reads requests, and says in the attributes below how far it is with that.
    """

    # Requests that have begun, bytes that came, and how often the client took what waited for it.
    _requests = 0
    _received = 0
    _relieved = 0
    _is_in_head = _is_in_body = False
    # Whether the last reply is given, and only the rest of its request is awaited.
    _is_over = False

    def standing(self) -> Standing:
        """What this connection waits for, from its client."""
        is_closing = self.transport.is_closing()
        if is_closing or self.flow.write_paused:
            waiting = Waiting.GONE if is_closing else Waiting.READER
            return Standing(waiting, self._requests, read_progress(self.transport, self._relieved))
        return Standing(self._awaited(), self._requests, self._received)

    def give_up(self, waiting: Waiting) -> None:
        """The client took too long: tell it if no reply was begun, and hang up."""
        if waiting in (Waiting.READER, Waiting.GONE):
            # It does not take what was sent, and closing would wait until it does.
            self.transport.abort()
        elif waiting in (Waiting.HEAD, Waiting.BODY):
            self._refuse(TooSlow())
        else:
            self.transport.close()

    def _awaited(self) -> Waiting:
        # There is no cycle before the first request; uvicorn's annotation does not say so.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_answered = cycle is None or cycle.response_complete
        if self.flow.read_paused or self._unread is not None:
            return Waiting.NOTHING
        if self._is_in_body and cycle is not None:
            if is_answered:
                return Waiting.REST
            return Waiting.NOTHING if cycle.waiting_for_100_continue else Waiting.BODY
        if not is_answered:
            return Waiting.NOTHING
        if self._is_in_head:
            return Waiting.HEAD
        return Waiting.NEXT if self._requests else Waiting.FIRST

    def _refuse(self, fault: ProxyError) -> None:
        """Answer with *fault*, unless this request has its answer or one is under way; hang up."""
        if self._is_in_body and self.pipeline:
            self._is_in_body = False
            self._forget_newest()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not (cycle.response_complete or self._is_in_body):
            # It came behind a request that has no answer yet (RFC 9112, section 9.3.2).
            self._tell_last(raw_answer(fault))
            return
        is_amid_reply = cycle is not None and cycle.response_started
        is_between = cycle is not None and cycle.response_complete and not self._is_in_body
        if not is_amid_reply or is_between:
            self.transport.write(raw_answer(fault))
        self.transport.close()
        if cycle is not None and not cycle.response_complete:
            # Whoever works on it shall write nothing behind this.
            cycle.disconnected = True
            cycle.message_event.set()

    def _last_reply(self) -> LastReply:
        return LastReply(self.transport, hang_up=self._hang_up)

    def _hang_up(self) -> None:
        """Close behind the last reply, which is whole or broken off.

        A whole one first lets the rest of its request come, unless that waits to be asked for.
        """
        may_wait = self._is_in_body and not self.expect_100_continue
        self._is_over = may_wait and self.cycle.response_complete
        if not self._is_over:
            self.transport.close()
