"""Serves an application on a socket until a signal ends it, in one process or in several.

SIGTERM and SIGINT end it in order: no new connections, running calls may finish within the grace
period, the rest is cut off and recorded as such, the journal is emptied, exit code 0. So does
SIGHUP, the end of a terminal, where there is one process; where there are several it has all of
them replaced, one by one. A worker whose supervisor is gone ends like that, too.
"""

import asyncio
import logging
import math
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

from officeai_proxy.app import create_app
from officeai_proxy.server.connection import Connection
from officeai_proxy.server.forwarded import BehindProxies
from officeai_proxy.server.listening import BACKLOG
from officeai_proxy.server.logs import log_config
from officeai_proxy.server.patience import Limits, Patience
from officeai_proxy.settings import Settings

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30
"""How long a worker may say nothing before its supervisor kills it and starts another.

A worker that starts says nothing until it has loaded. On a machine that is overloaded or was asleep
that takes longer than the five seconds that uvicorn gives, and no worker would ever get up.
"""


LOOK_SECONDS = 0.5
"""How often a supervisor that waits for the end of its workers looks for another signal."""


def run(settings: Settings, listener: socket.socket, *, on_ready: Callable[[], None]) -> int:
    """Serve on *listener* until a signal ends it; the exit code.

    *on_ready* is called once calls can be made.
    """
    wanted = Limits.of(settings)
    limits = wanted.within(_allowed_files(wanted.files))
    config = _config(settings, limits)
    if limits is not wanted:
        log.warning(
            "open files are limited (`ulimit -n`): a worker holds %d connections at most, not %d",
            limits.connections,
            wanted.connections,
        )
    if settings.workers == 1:
        server = Server(config, on_ready=on_ready)
        server.run(sockets=[listener])
        return 0 if server.started else 1
    hangs_up = _heeds_hangups()
    supervisor = Supervisor(config, listener, on_ready=on_ready)
    if not hangs_up:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()
    return STARTUP_FAILURE if supervisor.has_failed else 0


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it is ready and ends a signal with exit code 0."""

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """*on_ready* is called when the application has started."""
        super().__init__(config)
        self._on_ready = on_ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then tell."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_ready()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order, and the application too, which uvicorn leaves out after a second SIGINT.

        The end of the loop would then cancel the application, with a trace in the log.
        """
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving. uvicorn raises them again at the end, and dies of them."""
        handled = [signal.SIGINT, signal.SIGTERM]
        if _heeds_hangups():
            handled.append(signal.SIGHUP)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        # Other servers take it for "open the log anew", and rotations of logs send it to all.
        before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: end in order. A second SIGINT cuts the grace period short."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


class Worker(multiprocess.Process):
    """One of several processes, which ends as one alone does."""

    @property
    @override
    def server(self) -> Server:
        """The server that the process runs."""
        if not isinstance(self._server, Server):
            self._server = Server(self.config)
        return self._server


class Ending(threading.Event):
    """Whether the program is to end: uvicorn says so, or a signal still waits to be handled."""

    def __init__(self, signals: Collection[int]) -> None:
        """*signals* are those that wait to be handled."""
        super().__init__()
        self._signals = signals

    @override
    def is_set(self) -> bool:
        """Whether it does."""
        return super().is_set() or any(n in self._signals for n in (signal.SIGTERM, signal.SIGINT))


class Supervisor(multiprocess.Multiprocess):
    """uvicorn's supervisor, which tells when the first worker serves, and whether one cannot.

    It notices at once that a worker has died, also while it asks that worker whether it lives. It
    ends as one process does: connections are refused from the first signal on, and a second SIGINT
    cuts the wait short.
    """

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, *, on_ready: Callable[[], None]
    ) -> None:
        """*on_ready* is called when a worker has started, and not when none of them can."""
        # uvicorn has no other place to say which server its workers run.
        multiprocess.Process = Worker  # type: ignore[misc]
        super().__init__(config, [listener])
        self._on_ready = on_ready
        self._is_ready = False
        self.should_exit = Ending(self.signal_queue)

    @property
    def has_failed(self) -> bool:
        """Whether a worker could not start; another would fail like it, and none was started."""
        return any(worker.exitcode == STARTUP_FAILURE for worker in self.processes)

    @override
    def keep_subprocess_alive(self) -> None:
        """Ask each worker whether it lives, and start another for one that does not."""
        for worker in self.processes:
            # The worker has its own end of the pipe. As long as that is open here as well, a worker
            # that is killed while it is asked keeps the supervisor waiting for its answer, for all
            # of ANSWER_SECONDS, and nobody serves.
            worker.child_conn.close()
        super().keep_subprocess_alive()
        if not self._is_ready and any(worker.is_ready() for worker in self.processes):
            self._is_ready = True
            self._on_ready()

    @override
    def restart_all(self) -> None:
        """Replace the workers one by one, each when its successor serves, until this program ends.

        uvicorn waits for the end of each of them, and hears no other signal meanwhile.
        """
        for place, old in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            new = Worker(self.config, self.sockets)
            new.start()
            if not new.wait_until_ready(ANSWER_SECONDS, self.should_exit):
                new.kill()
                new.join()
                if not self.should_exit.is_set():
                    log.error("a new worker was not ready in time; all others stay as they are")
                return
            self.processes[place] = new
            old.terminate()
            while old.exitcode is None:
                if self.should_exit.is_set():
                    self.processes.append(old)
                    return
                multiprocessing.connection.wait([old.process.sentinel], LOOK_SECONDS)

    @override
    def terminate_all(self) -> None:
        """Tell all workers to end, and take no more connections: nobody would ever answer them."""
        super().terminate_all()
        for listener in self.sockets:
            listener.close()

    @override
    def join_all(self) -> None:
        """Wait for the end of all workers, and hand them a SIGINT that comes meanwhile.

        A terminal sends it to them as well; whoever sends it to this process alone means them too.
        """
        while living := [worker.process for worker in self.processes if worker.exitcode is None]:
            multiprocessing.connection.wait([process.sentinel for process in living], LOOK_SECONDS)
            if signal.SIGINT in self.signal_queue:
                self.signal_queue.clear()
                for process in living:
                    _hurry(process)


def _hurry(process: multiprocessing.process.BaseProcess) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGINT)


def _application(settings: Settings) -> ASGIApp:
    """The application of this process, which may be a worker of its own."""
    if multiprocessing.parent_process() is not None:
        _follow_supervisor()
    application = create_app(settings)
    trusted = settings.trusted_proxies
    return BehindProxies(application, trusted) if trusted else application


def _follow_supervisor() -> None:
    """Leave signals that are for the supervisor to it, and end when it is gone.

    A terminal that closes sends SIGHUP to all processes that it started, workers included. A
    supervisor that is killed tells nobody: its workers would hold the port for ever.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    threading.Thread(target=_end_with_supervisor, name="supervisor", daemon=True).start()


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        # It waits for the end of a pipe that nobody but the supervisor holds open.
        supervisor.join()
        log.error("the supervisor of this worker is gone; it ends in order, as on SIGTERM")
        os.kill(os.getpid(), signal.SIGTERM)


def _heeds_hangups() -> bool:
    """Whether the program is to end when its terminal does; `nohup` starts one that is not."""
    return signal.getsignal(signal.SIGHUP) != signal.SIG_IGN


def _allowed_files(wanted: int) -> int:
    """Let this process and its workers open *wanted* files, or as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def _config(settings: Settings, limits: Limits) -> uvicorn.Config:
    http = partial(Connection, patience=Patience(limits))
    return uvicorn.Config(
        partial(_application, settings),
        factory=True,
        # uvicorn only ever calls it, as it would call the class.
        http=cast("type[asyncio.Protocol]", http),
        ws="none",
        lifespan="on",
        workers=settings.workers,
        backlog=BACKLOG,
        timeout_worker_healthcheck=ANSWER_SECONDS,
        access_log=False,
        server_header=False,
        # Whose word on that is taken, and for what, is up to BehindProxies.
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
        log_config=log_config(settings.log_level),
        log_level=settings.log_level if settings.log_level == "debug" else "warning",
    )
