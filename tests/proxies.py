"""The real program in a process of its own, as a user starts it, and what tests ask of it."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx
from tests import forkserver, ports
from tests.forkserver import Copy
from typing_extensions import override

KEY = "sk-test-0123456789"
COMMAND = (sys.executable, "-m", "officeai_proxy")

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to read all certificates takes each of them 20 ms."""

# What a developer's own machine has set must not reach the program under test.
FOREIGN = re.compile(r"OFFICEAI_|OPENAI_|.*_proxy$|.*_PROXY$", re.IGNORECASE)


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment without anybody's settings but *settings*."""
    kept = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
    return {**kept, **settings}


@dataclass
class RunningProxy:
    """`officeai-proxy serve` in a folder of its own; a context manager.

    Settings are given as in the environment, without `OFFICEAI_`: `UPSTREAM_BASE_URL=…`.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("serve",)
    port: int = 0
    key: str = KEY
    program: tuple[str, ...] = COMMAND

    def start(self, *, timeout: float = 60.0) -> "RunningProxy":
        """Start it and wait for the line that says it is ready."""
        settings = {
            "API_KEYS": self.key,
            "UPSTREAM_API_KEY": "sk-upstream-secret",
            "PORT": str(self.port),
            "DATA_DIR": str(self.folder / "data"),
            **self.settings,
        }
        named = {f"OFFICEAI_{name}": value for name, value in settings.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = (self.folder / "stderr.txt").open("ab")
        self.process = self._begin(clean_environment(**named))
        self.banner = self._read_banner(timeout)
        base_url = re.search(r"base_url +(http\S+)", self.banner)
        assert base_url, f"no banner: {self.banner}\n{self.stderr()}"
        self.base_url = base_url[1]
        self.root = self.base_url.removesuffix("/v1")
        self.port = int(self.root.rsplit(":", 1)[1])
        return self

    def _begin(self, environment: dict[str, str]) -> subprocess.Popen[str] | Copy:
        return subprocess.Popen(
            (*self.program, *self.command),
            cwd=self.folder,
            env={**environment, **self.environment},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )

    def _read_banner(self, timeout: float) -> str:
        lines: list[str] = []
        done = threading.Event()

        def read() -> None:
            assert self.process.stdout
            # Whoever ends the program closes its output, at any moment.
            with suppress(ValueError):
                for line in self.process.stdout:
                    lines.append(line)
                    # With a new key it goes on with a first call, and ends with its reading.
                    has_new_key = "sk-oai-" in line
                    if (line.startswith("  key ") and not has_new_key) or "/demo-session" in line:
                        done.set()
            done.set()

        threading.Thread(target=read, daemon=True).start()
        done.wait(timeout)
        return "".join(lines)

    def stderr(self) -> str:
        return (self.folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")

    def stop(self, *, timeout: float = 40.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        finally:
            self._close()

    def kill(self) -> None:
        """SIGKILL to the program and all of its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self._close()

    def _close(self) -> None:
        ports.hold_for_successor(self.port)
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()

    def headers(self, session: str | None = None, user: str | None = None) -> dict[str, str]:
        named = {"Authorization": f"Bearer {self.key}"}
        if session is not None:
            named["X-Session-ID"] = session
        if user is not None:
            named["X-User-ID"] = user
        return named

    def client(self, session: str | None = None, user: str | None = None) -> httpx.Client:
        """A plain HTTP client with the key, and the session and user if given."""
        return httpx.Client(
            base_url=self.root,
            headers=self.headers(session, user),
            timeout=60,
            trust_env=False,
            verify=PLAIN,
        )

    def get(self, path: str, **params: str) -> httpx.Response:
        with self.client() as client:
            return client.get(path, params=params)

    def path_of(self, session: str, **params: str) -> list[tuple[str, str]]:
        """The conversation as (role, content) pairs, oldest first."""
        answer = self.get(f"/conversations/{session}/messages", limit="1000", **params)
        assert answer.status_code == 200, answer.text
        return [(message["role"], message["content"]) for message in answer.json()["data"]]

    def __enter__(self) -> "RunningProxy":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()


class CopiedProxy(RunningProxy):
    """The same without reading its modules first, see `forkserver`; for real with `environment`."""

    @override
    def _begin(self, environment: dict[str, str]) -> subprocess.Popen[str] | Copy:
        if self.environment:
            return super()._begin(environment)
        return forkserver.start(
            self.command,
            folder=self.folder,
            environment=environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            is_leader=True,
        )
