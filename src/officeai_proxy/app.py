"""The one place that wires: settings in, the ASGI application out; opens in order, closes in
reverse.

No other module knows both the hot path and the database. Two applications in one process work.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from officeai_proxy import __version__, administration, error_handlers, health, history, swagger
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.refresher import KeyRefresher
from officeai_proxy.errors import ProxyError
from officeai_proxy.health import Pulse
from officeai_proxy.history.downloads import ExportSlots
from officeai_proxy.model import ApiKey
from officeai_proxy.proxy import openapi
from officeai_proxy.proxy.forwarding import refuse
from officeai_proxy.proxy.routes import Proxy, is_proxied
from officeai_proxy.proxy.upstream import Timeouts, choose_upstream
from officeai_proxy.recording.freshness import JournalFreshness
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.recorder import Recorder
from officeai_proxy.recording.thread import RecorderThread
from officeai_proxy.settings import MEGABYTE, Settings
from officeai_proxy.storage.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.migrations import prepare
from officeai_proxy.storage.search_upkeep import purge

DRAIN_SECONDS = 10.0
"""How long the program's end waits for the recorder; what is left is stored at the next start."""

TIDY_SECONDS = 2.0

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Services:
    """What the routes work with, at `app.state.services`."""

    settings: Settings
    keyring: Keyring
    database: Database
    freshness: JournalFreshness
    pulse: Pulse
    export_slots: ExportSlots
    clock: Callable[[], datetime] = field(default=utc_now)

    async def active_keys(self) -> list[ApiKey]:
        """The managed keys that open something now."""
        async with self.database.read() as connection:
            return await ApiKeyRepository(connection).active(self.clock())


class Application:
    """The hot path in front of the framework: calls go to the proxy, all else to the routes."""

    def __init__(self, settings: Settings) -> None:
        """Build everything; nothing is opened before the server starts it."""
        self.settings = settings
        self.routes = _routes(self._lifespan)
        self._proxy: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event (ASGI specification)."""
        if scope["type"] == "http" and self._proxy is not None and is_proxied(scope["path"]):
            await _guarded(self._proxy, scope, receive, send)
        else:
            await self.routes(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, routes: FastAPI) -> AsyncIterator[None]:
        """Open the journal, the recorder and the upstream; close them in reverse."""
        settings = self.settings
        open_directory(settings.journal_dir)
        journal = Journal(
            settings.journal_dir,
            durability=settings.durability,
            backlog_bytes=int(settings.max_journal_backlog_mb * MEGABYTE),
        )
        recorder = RecorderThread(lambda: _RecorderWorker.make(settings))
        services = _services(settings, journal, recorder)
        routes.state.services = services
        timeouts = Timeouts(
            settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout
        )
        upstream = choose_upstream(
            settings.upstream_base_url, timeouts, trust_env=settings.upstream_trust_env
        )
        recorder.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                proxy = Proxy(
                    settings,
                    keyring=services.keyring,
                    upstream=upstream,
                    journal=journal,
                    tasks=tasks,
                )
                self._proxy = proxy
                refresher = KeyRefresher(services, services.keyring)
                await refresher.refresh()
                chores = [
                    tasks.create_task(refresher.run()),
                    tasks.create_task(_tidy(journal)),
                ]
                yield
                services.pulse.is_stopping = True
                proxy.cut()
                for chore in chores:
                    chore.cancel()
        finally:
            self._proxy = None
            await upstream.close()
            journal.close()
            if not await recorder.stop(DRAIN_SECONDS):
                log.warning("the recorder has not finished; the next start stores the rest")
            await services.database.close()


class _RecorderWorker:
    """The recorder with its database, inside the recorder's own loop."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(
            settings.database, durability=settings.durability, checkpoints=True, pool_size=2
        )
        self._is_stopping = asyncio.Event()
        self._recorder = Recorder(
            settings.journal_dir,
            SqlExchangeStore(self._database),
            is_transient=is_transient,
            tidy=self._tidy,
        )

    @classmethod
    async def make(cls, settings: Settings) -> "_RecorderWorker":
        return cls(settings)

    def poke(self) -> None:
        self._recorder.poke()

    def stop(self) -> None:
        self._is_stopping.set()
        self._recorder.stop()

    async def run(self) -> None:
        try:
            if await self._prepared():
                await self._recorder.run()
        finally:
            await self._database.close()

    async def _prepared(self) -> bool:
        """Bring the schema up to date, however long the database is away; False: stopped."""
        while True:
            try:
                await prepare(self._database)
            except Exception as exc:  # noqa: BLE001 - the recorder must outlive a database that is away
                log.warning("the database cannot be prepared yet: %s", exc)
            else:
                return True
            try:
                async with asyncio.timeout(1.0):
                    await self._is_stopping.wait()
            except TimeoutError:
                continue
            return False

    async def _tidy(self) -> bool:
        """Bring what was deleted for good out of SQLite's index and out of its WAL."""
        is_done = await purge(self._database)
        await self._database.checkpoint()
        return is_done


def create_app(settings: Settings) -> Application:
    """The application for *settings*."""
    return Application(settings)


def _routes(lifespan: Callable[[FastAPI], object]) -> FastAPI:
    routes = FastAPI(
        title="officeai-proxy",
        version=__version__,
        description=openapi.DESCRIPTION,
        lifespan=lifespan,  # type: ignore[arg-type]  # an async context manager, as FastAPI wants it
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    error_handlers.install(routes)
    routes.include_router(openapi.router)
    for router in (*history.ROUTERS, *administration.ROUTERS):
        routes.include_router(router)
    routes.include_router(health.router)
    swagger.install(routes)
    return routes


def _services(settings: Settings, journal: Journal, recorder: RecorderThread) -> Services:
    database = Database(settings.database, durability=settings.durability)
    pulse = Pulse(
        journal_dir=settings.journal_dir,
        journal=journal,
        database=database,
        dialect=database.dialect.value,
        upstream=settings.upstream_base_url,
        is_recording=lambda: recorder.is_alive,
    )
    keys = [key.get_secret_value() for key in settings.api_keys]
    return Services(
        settings=settings,
        keyring=Keyring(keys, utc_now),
        database=database,
        freshness=JournalFreshness(settings.journal_dir, poke=recorder.poke),
        pulse=pulse,
        export_slots=ExportSlots(settings.max_exports),
    )


async def _tidy(journal: Journal) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        journal.tidy()


async def _guarded(proxy: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a call; a fault of ours that nobody foresaw is an error object too, and is logged."""
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
        await refuse(
            ProxyError("The proxy failed on this call; its log says why."), send, headers=[]
        )
