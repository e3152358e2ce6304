"""The one place that wires: settings in, the ASGI application out; opened in order, closed in
reverse.

No other module knows both the hot path and the database. Two applications in one process work.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from officeai_proxy.api.late_requests import LateRequests
from officeai_proxy.api.security_headers import SecurityHeaders
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.limits.forgetting import forget_dead
from officeai_proxy.auth.limits.ledger import Ledger
from officeai_proxy.auth.limits.sharing import UseSharing
from officeai_proxy.chores import Tasks, begun_anew
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import BROKE_DOWN, ProxyError
from officeai_proxy.framework import framework
from officeai_proxy.metrics.counting import CallCounter
from officeai_proxy.metrics.worker import Metrics
from officeai_proxy.prices.book import PriceBook
from officeai_proxy.proxy.forwarding import refuse
from officeai_proxy.proxy.partway import PartWay
from officeai_proxy.proxy.relaying import Relaying
from officeai_proxy.proxy.routes import Proxy, is_proxied
from officeai_proxy.proxy.upstream import upstream_of
from officeai_proxy.recorder_worker import RecorderWorker
from officeai_proxy.recording.destination import Destination
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.journal_keys import check_keys
from officeai_proxy.recording.thread import RecorderThread
from officeai_proxy.services import Services, services_of
from officeai_proxy.session_memory import StoredSessions
from officeai_proxy.settings import MEGABYTE, Settings
from officeai_proxy.storage.access.key_use import KeyUseBoard
from officeai_proxy.storage.database import Dialect
from officeai_proxy.storage.engine.address import read_address

DRAIN_SECONDS = 10.0
"""How long the program's end waits for the recorder; what is left is stored at the next start."""

TIDY_SECONDS = 2.0

SWITCH_SECONDS = 0.001
"""How long the recorder's thread may keep the interpreter, which calls give away with every system
call. With the 5 ms that Python has by itself, calls take a third longer while they are recorded.
"""

log = logging.getLogger(__name__)


class Application:
    """The hot path in front of the framework: calls go to the proxy, all else to the routes."""

    def __init__(self, settings: Settings) -> None:
        """Build everything; nothing is opened before the server starts it.

        Raises:
            ConfigurationError: a route says of nothing who may call it.
        """
        self.settings = settings
        self.routes = framework(self._lifespan)
        self._guarded_routes = SecurityHeaders(LateRequests(self.routes))
        self._proxy: Proxy | None = None
        self._metrics: Metrics | None = None
        self._prices = PriceBook.open(settings.prices)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        if scope["type"] == "http" and self._proxy is not None and is_proxied(scope["path"]):
            await _guarded(self._proxy, scope, receive, send)
        else:
            if scope["type"] == "http" and self._metrics is not None:
                send = self._metrics.counter.watching(send)
            await self._guarded_routes(scope, receive, send)

    @property
    def relaying(self) -> Relaying | None:
        """What serves calls that need not wait, for servers that can do without ASGI for them."""
        return None if self._proxy is None else self._proxy.relaying

    @asynccontextmanager
    async def _lifespan(self, routes: FastAPI) -> AsyncIterator[None]:
        """Open the journal, the recorder and the upstream; close them in reverse."""
        settings = self.settings
        journal, destination = _open_journal(settings)
        metrics = self._metrics = Metrics(settings.data_dir / "metrics")
        recorder = RecorderThread(
            lambda: RecorderWorker.make(settings, self._prices, metrics.counter)
        )
        routes.state.services = services = services_of(
            settings, journal=journal, recorder=recorder, metrics=metrics
        )
        upstream = upstream_of(settings)
        ledger = Ledger(settings.data_dir / "limits")
        recorder.start()
        try:
            async with Tasks() as tasks:
                proxy = Proxy(
                    settings,
                    keyring=services.keyring,
                    ledger=ledger,
                    upstream=upstream,
                    journal=journal,
                    counter=metrics.counter,
                    memory=StoredSessions(services.database, wait=services.freshness.wait),
                    tasks=tasks,
                )
                self._proxy = proxy
                await services.refresh_keys()
                chores = [
                    tasks.create_task(chore) for chore in _chores(services, journal, proxy, ledger)
                ]
                _tune_interpreter()
                yield
                services.pulse.is_stopping = True
                proxy.cut()
                for chore in chores:
                    chore.cancel()
        finally:
            self._proxy = self._metrics = None
            await upstream.close()
            ledger.close()
            await _end_recording(journal, recorder, metrics)
            destination.close()
            await services.database.close()


def _tune_interpreter() -> None:
    """Let calls be held up as little as can be, by the garbage collector and by other threads."""
    gc.freeze()
    # Reference cycles that there are all the same go within minutes.
    gc.set_threshold(50000, 5, 5)
    sys.setswitchinterval(SWITCH_SECONDS)


def _open_journal(settings: Settings) -> tuple[Journal, Destination]:
    open_directory(settings.journal_dir)
    keys = MasterKeys.of(settings.encryption_secrets)
    check_keys(settings.journal_dir, keys)
    destination = Destination(settings.journal_dir, read_address(settings.database).identity)
    journal = Journal(
        settings.journal_dir,
        durability=settings.durability,
        backlog_bytes=int(settings.max_journal_backlog_mb * MEGABYTE),
        seal=FrameSeal.of(keys),
    )
    return journal, destination


async def _end_recording(journal: Journal, recorder: RecorderThread, metrics: Metrics) -> None:
    """Close the journal, wait until the recorder has read it, and then close the metrics, in which
    the recorder counts until its end.
    """
    journal.close()
    metrics.counter.keeping(journal)
    if await recorder.stop(DRAIN_SECONDS):
        metrics.close()
    else:
        log.warning("the recorder has not finished; the next start stores the rest")


def create_app(settings: Settings) -> Application:
    """The application for *settings*."""
    return Application(settings)


def _chores(
    services: Services, journal: Journal, proxy: Proxy, ledger: Ledger
) -> Iterator[Coroutine[Any, Any, None]]:
    """What goes on beside the calls, whatever happens to it."""
    counter, keyring = services.metrics.counter, services.keyring
    yield begun_anew(services.refresher.run, what="reading the keys")
    yield begun_anew(lambda: _tidy(journal, counter), what="tidying up the journal")
    yield begun_anew(lambda: _keep_part_way(proxy, journal), what="keeping long calls")
    yield begun_anew(lambda: _forget_dead_keys(keyring, ledger), what="forgetting dead keys")
    yield begun_anew(lambda: _share_limits(services, ledger), what="sharing limits")


async def _keep_part_way(proxy: Proxy, journal: Journal) -> None:
    running = proxy.captures.running
    await PartWay(running, journal.pieces, is_keeping=lambda: journal.is_keeping).run()


async def _tidy(journal: Journal, counter: CallCounter) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        journal.tidy()
        counter.keeping(journal)


async def _forget_dead_keys(keyring: Keyring, ledger: Ledger) -> None:
    await forget_dead(ledger, lambda: keyring.limited_accounts() if keyring.managed_known else None)


async def _share_limits(services: Services, ledger: Ledger) -> None:
    """Share the use of keys with other hosts, where there may be some."""
    keyring = services.keyring
    if services.database.dialect is Dialect.POSTGRESQL:
        await UseSharing(
            ledger,
            KeyUseBoard(services.database),
            directory=ledger.directory,
            accounts=keyring.limited_accounts,
        ).run()


async def _guarded(proxy: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a call; a fault of ours that nobody foresaw is logged, and told as an error object."""
    has_begun = False

    async def noted(message: Message) -> None:
        nonlocal has_begun
        has_begun = True
        await send(message)

    try:
        await proxy(scope, receive, noted)
    except Exception:
        log.exception("a call failed inside the proxy")
        if has_begun:
            raise
        await refuse(ProxyError(BROKE_DOWN), send, headers=[])
