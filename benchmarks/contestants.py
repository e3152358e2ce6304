"""What is compared: nginx as a plain reverse proxy, and this program as a user starts it (other
gateways are in `peers`).

Each is started on a core of its own in front of the same upstream, and stopped again. Nothing here
measures. Their files are in a temporary folder that the caller owns.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Protocol

from benchmarks.load import BenchmarkFailed
from benchmarks.processes import pinned
from tests.databases import free_port
from tests.proxies import clean_environment

KEY = "sk-bench-0123456789"
PROGRAM = (sys.executable, "-m", "officeai_proxy")

START_SECONDS = 60.0
SETTLE_SECONDS = 120.0
_POLL_SECONDS = 0.1

_NGINX_CONFIG = """
{account}daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 20m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream upstream {{
    server 127.0.0.1:{upstream};
    keepalive 2048;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://upstream;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


class Contestant(Protocol):
    """A running proxy; `seconds_to_start` is from its start until it said that it is ready."""

    port: int
    pid: int
    seconds_to_start: float

    def settle(self) -> None:
        """Wait until all work that its calls have left behind is done."""

    def stop(self) -> None:
        """Stop it and wait until it is gone."""


Start = Callable[[Path], Contestant]
"""Starts a contestant, with its files in a new folder."""


def find_nginx() -> str | None:
    """The program, on the PATH or where Debian keeps it."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class Nginx:
    """nginx without a log, with one worker and kept upstream connections, buffering off."""

    def __init__(self, folder: Path, *, upstream: int, core: int) -> None:
        """Start it on *core* and wait until it takes connections."""
        program = find_nginx()
        if program is None:
            raise BenchmarkFailed("nginx is not installed")
        folder.mkdir()
        self.port = free_port()
        config = folder / "nginx.conf"
        # Started by root it would serve as another user, who may not write in the folder.
        account = "user root;\n" if os.geteuid() == 0 else ""
        config.write_text(
            _NGINX_CONFIG.format(account=account, folder=folder, port=self.port, upstream=upstream),
            encoding="utf-8",
        )
        began = time.monotonic()
        with pinned(core):
            self._process = subprocess.Popen(
                [program, "-p", folder, "-c", config, "-e", folder / "error.log"]
            )
        self.pid = self._process.pid
        while not is_listening(self.port):
            if self._process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise BenchmarkFailed("nginx did not start")
            time.sleep(0.01)
        self.seconds_to_start = time.monotonic() - began

    def settle(self) -> None:
        """Return at once: nginx leaves no work behind."""

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        end(self._process)


class Ours:
    """`officeai-proxy serve` with a checked key, in its default settings else."""

    def __init__(
        self, folder: Path, *, upstream: int, database: str, cores: Sequence[int], workers: int = 1
    ) -> None:
        """Start it on *cores* and wait for the line that says it is ready."""
        folder.mkdir()
        self._log = (folder / "stderr.txt").open("wb")
        environment = clean_environment(
            OFFICEAI_UPSTREAM_BASE_URL=f"http://127.0.0.1:{upstream}/v1",
            OFFICEAI_UPSTREAM_API_KEY="sk-upstream-0123456789",
            OFFICEAI_API_KEYS=KEY,
            OFFICEAI_DATABASE_URL=database,
            OFFICEAI_DATA_DIR=str(folder / "data"),
            OFFICEAI_PORT="0",
            OFFICEAI_WORKERS=str(workers),
        )
        began = time.monotonic()
        with pinned(*cores):
            self._process = subprocess.Popen(
                [*PROGRAM, "serve"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
            )
        self.pid = self._process.pid
        assert self._process.stdout
        self.port = _read_port(self._process.stdout)
        self.seconds_to_start = time.monotonic() - began

    def settle(self) -> None:
        """Wait until the recorder has stored everything, so that its work is charged to it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._pending() > 0:
            if time.monotonic() > deadline:
                raise BenchmarkFailed("the recorder does not come to an end; is the database slow?")
            time.sleep(_POLL_SECONDS)

    def _pending(self) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("GET", "/health")
            recorder = json.loads(connection.getresponse().read())["recorder"]
        if recorder["set_aside"] or recorder["dropped"]:
            raise BenchmarkFailed(f"calls were not recorded: {recorder}")
        return int(recorder["pending"])

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        end(self._process)
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()


def _read_port(banner: IO[str]) -> int:
    for line in banner:
        found = re.search(r"base_url +http://127\.0\.0\.1:(\d+)/", line)
        if found:
            return int(found[1])
    raise BenchmarkFailed("officeai-proxy did not start; `officeai-proxy doctor` may say why")


def is_listening(port: int) -> bool:
    """Whether somebody takes connections on *port* of the loopback interface."""
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def end(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Ask *process* to end and wait until it is gone; one that does not end is killed."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
