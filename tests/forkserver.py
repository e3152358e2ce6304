"""Programs that begin as copies of a process which has read their modules already.

To read them takes most of a start, and the tests start hundreds of programs. What a copy does from
there on is what `python -m officeai_proxy` does: arguments, environment, folder, output and signals
are its own. What the interpreter reads from its environment before anything runs is not: a program
with such variables has to be started for real.

Run as a program with a socket for its argument this is that process. It has no threads, and holds
nothing that a copy could use: each order comes with the files that the copy writes to.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TextIO

ROOT = Path(__file__).parent.parent

ORDER_BYTES = 2**20

# What a program does on them unless whoever started it had them ignored, as `nohup` has one.
HEARD: Mapping[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGHUP: signal.SIG_DFL,
}


class Copy:
    """A running copy, as `subprocess.Popen` would give it; its standard output can be read."""

    def __init__(self, said: socket.socket, stdout: TextIO | None) -> None:
        """*said* is where its keeper says the process id, and in the end the exit code."""
        self._said = said
        self.stdout = stdout
        self.pid = int(said.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("officeai-proxy", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._said, select.POLLIN)
            if poll.poll(None if timeout is None else timeout * 1000):
                self.returncode = int(self._said.recv(64))
                self._said.close()
        return self.returncode


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[bytes] | int,
    stderr: IO[bytes],
    is_leader: bool = False,
) -> Copy:
    """Start `officeai-proxy` with *arguments*; as the leader of a session of its own if asked.

    With `subprocess.PIPE` for *stdout* what it prints is read from the copy.
    """
    read: TextIO | None = None
    written = stdout if isinstance(stdout, int) else stdout.fileno()
    if stdout == subprocess.PIPE:
        end, written = os.pipe()
        read = os.fdopen(end, encoding="utf-8")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ignored = [number for number in HEARD if signal.getsignal(number) == signal.SIG_IGN]
    order = json.dumps([list(arguments), str(folder), dict(environment), is_leader, ignored])
    with theirs:
        files = [theirs.fileno(), written, stderr.fileno()]
        socket.send_fds(_server(), [order.encode()], files)
    if read is not None:
        os.close(written)
    return Copy(ours, read)


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdout: IO[bytes] | None = None,
    timeout: float = 60,
) -> "subprocess.CompletedProcess[str]":
    """Run `officeai-proxy` with *arguments* to its end; what it printed, unless into *stdout*."""
    with TemporaryFile() as printed, TemporaryFile() as told:
        copy = start(
            arguments,
            folder=folder,
            environment=environment,
            stdout=stdout or printed,
            stderr=told,
        )
        try:
            code = copy.wait(timeout)
        finally:
            copy.send_signal(signal.SIGKILL)
        texts = [_text_of(file) for file in (printed, told)]
        return subprocess.CompletedProcess(list(arguments), code, *texts)


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _server() -> socket.socket:
    """Where orders go; the process is started by the first one, and ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver", str(theirs.fileno())],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(60)

    atexit.register(end)
    return ours


def _serve(orders: socket.socket) -> list[str]:
    """Make copies, until nobody can order any; each copy returns with its arguments."""
    keepers: set[int] = set()
    while True:
        order, files, *_ = socket.recv_fds(orders, ORDER_BYTES, 3)
        if not order:
            os._exit(0)
        keepers -= {pid for pid in keepers if os.waitpid(pid, os.WNOHANG)[0]}
        keeper = os.fork()
        if keeper == 0:
            orders.close()
            arguments, folder, environment, is_leader, ignored = json.loads(order)
            _keep(*files)
            for number, heard in HEARD.items():
                signal.signal(number, signal.SIG_IGN if number in ignored else heard)
            if is_leader:
                os.setsid()
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.path[0] = folder
            return list(arguments)
        keepers.add(keeper)
        for file in files:
            os.close(file)


def _keep(said: int, stdout: int, stderr: int) -> None:
    """Make the copy, which returns, and stay to tell its process id and its end."""
    with socket.socket(fileno=said) as teller:
        pid = os.fork()
        if pid != 0:
            os.close(stdout)
            os.close(stderr)
            teller.send(str(pid).encode())
            _, status = os.waitpid(pid, 0)
            teller.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
    for file, place in ((stdout, 1), (stderr, 2)):
        os.dup2(file, place)
        os.close(file)


def _read_modules() -> None:
    """Read all that a start reads; what is read later, such as Alembic, is not."""
    for module in pkgutil.iter_modules([str(ROOT / "src/officeai_proxy/cli")]):
        importlib.import_module(f"officeai_proxy.cli.{module.name}")
    gc.freeze()


if __name__ == "__main__":
    _read_modules()
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("officeai_proxy", run_name="__main__", alter_sys=True)
