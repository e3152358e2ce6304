"""The ASGI application behind `/v1`: a request in, the upstream's reply out, the call recorded.

It stands in front of the framework's routing and middleware: each of those costs more than all that
happens here.
"""

import asyncio
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.errors import ProxyError, ShuttingDown
from officeai_proxy.model import Durability
from officeai_proxy.proxy.admission import Admission
from officeai_proxy.proxy.bodies import CallerLeft
from officeai_proxy.proxy.call import Call
from officeai_proxy.proxy.captures import Captures
from officeai_proxy.proxy.context import ContextAdder, SessionMemory
from officeai_proxy.proxy.counting import CallCounter
from officeai_proxy.proxy.forwarding import ExchangeJournal, Forwarding, refuse
from officeai_proxy.proxy.relaying import Relaying
from officeai_proxy.proxy.upstream import PooledUpstream
from officeai_proxy.proxy.watch import CallerWatch
from officeai_proxy.settings import MEGABYTE, OnDisconnect, Settings


class Proxy:
    """Forwards calls to one upstream and records them in one journal."""

    def __init__(
        self,
        settings: Settings,
        *,
        keyring: Keyring,
        ledger: Ledger,
        upstream: PooledUpstream,
        journal: ExchangeJournal,
        counter: CallCounter,
        memory: SessionMemory,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """*tasks* keeps the tasks that watch for callers who leave."""
        self._context = ContextAdder(memory, settings)
        self._admission = Admission(
            settings,
            keyring,
            ledger=ledger,
            context=self._context,
            is_keeping=lambda: journal.is_keeping,
        )
        self._upstream = upstream
        self._journal = journal
        self._counter = counter
        self._tasks = tasks
        self._finishes_alone = settings.on_disconnect is OnDisconnect.FINISH
        self.captures = Captures(
            urlsplit(settings.upstream_base_url).netloc,
            limit=int(settings.max_recorded_mb * MEGABYTE),
            append=journal.append,
            counter=counter,
        )
        self.relaying = (
            Relaying(
                self._admission,
                self.captures,
                upstream,
                counter=counter,
                tasks=tasks,
                finishes_alone=self._finishes_alone,
            )
            if journal.durability is not Durability.DISK
            else None
        )
        self._running: set[Forwarding] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI specification, HTTP)."""
        forwarding: Forwarding | None = None

        def caller_left() -> None:
            if forwarding is not None:
                forwarding.caller_left()

        watch = CallerWatch(receive, tasks=self._tasks, on_left=caller_left)
        try:
            call = await self._admission.admit(scope, receive, on_sent=watch.arm)
            if call.context is not None:
                call = await self._context.added(call)
        except ProxyError as error:
            watch.disarm()
            self._counter.refused(error)
            await refuse(error, send, headers=[])
            return
        except CallerLeft:
            return
        except asyncio.CancelledError:
            # The server's grace period is over, and half of the request is still missing.
            await refuse(ShuttingDown(), send, headers=[])
            return
        forwarding = self._forwarding(call, watch)
        self._running.add(forwarding)
        self._counter.began()
        try:
            await forwarding.run(send)
        finally:
            self._running.discard(forwarding)
            self._counter.over()
            if call.lease is not None:
                # A call that a fault of ours ended was not settled; nothing of it is kept back.
                call.lease.settle(0)

    def cut(self) -> None:
        """End and record every call that still runs, because the program ends."""
        for forwarding in tuple(self._running):
            forwarding.cut()
        if self.relaying is not None:
            self.relaying.cut()

    def _forwarding(self, call: Call, watch: CallerWatch) -> Forwarding:
        return Forwarding(
            call,
            self._upstream.exchange(),
            self.captures.of(call),
            watch=watch,
            journal=self._journal,
            finishes_alone=self._finishes_alone,
        )


def is_proxied(path: str) -> bool:
    """Whether *path* belongs to the upstream rather than to this program's own routes."""
    return path.startswith("/v1/") or path == "/v1"
