"""Other gateways, installed on request into a folder of their own; nothing is started here.

pip and npm install them, from wherever these are set up to install from. A gateway that cannot be
installed is left out, and one line says why.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks import table
from benchmarks.contestants import KEY
from benchmarks.table import Row

INSTALL_SECONDS = 1200.0

_INSTALLED = "installed"
"""A file that says that the installation in its folder is whole."""


class PeerMissing(Exception):
    """A gateway cannot be installed or started here; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Where a gateway is installed, a folder for its files, its port and that of the upstream."""

    home: Path
    folder: Path
    port: int
    upstream: int


class Peer(Protocol):
    """How a gateway is installed, started and called. *home* is the folder it is installed in.

    `needs` are programs, `headers` what its calls carry besides the key, with a place for the port
    of the upstream; `cost` and `lighter` are its rows.
    """

    title: str
    needs: Sequence[str]
    headers: Sequence[str]
    environment: Mapping[str, str]
    cost: Row
    lighter: Row

    def installation(self, home: Path) -> Sequence[Sequence[str]]:
        """The commands that install it."""

    def version(self, home: Path) -> str:
        """Which version is installed."""

    def command(self, launch: Launch) -> Sequence[str]:
        """How to start it."""


class LiteLlm:
    """The LiteLLM proxy: one worker, and our key as its only one, for it refuses to have none."""

    title = "LiteLLM"
    needs: Sequence[str] = ()
    headers: Sequence[str] = ()
    environment: Mapping[str, str] = {
        "LITELLM_MASTER_KEY": KEY,
        # No prices from the network, and no log line for each call.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    cost = table.LITELLM
    lighter = table.LITELLM_LIGHTER

    def installation(self, home: Path) -> Sequence[Sequence[str]]:
        """A virtual environment of its own."""
        pip = (str(home / "bin" / "python"), "-m", "pip", "install", "-q")
        return [
            (sys.executable, "-m", "venv", str(home)),
            (*pip, "--disable-pip-version-check", "litellm[proxy]"),
        ]

    def version(self, home: Path) -> str:
        """From the name of the folder that pip has made."""
        found = next(home.glob("lib/python*/site-packages/litellm-*.dist-info"), None)
        return "?" if found is None else found.name.removesuffix(".dist-info").split("-")[-1]

    def command(self, launch: Launch) -> Sequence[str]:
        """Its configuration is JSON, which is YAML as well."""
        model = {
            "model_name": "gpt-4o-mini",
            "litellm_params": {
                "model": "openai/gpt-4o-mini",
                "api_base": f"http://127.0.0.1:{launch.upstream}/v1",
                "api_key": "sk-upstream-0123456789",
            },
        }
        config = launch.folder / "config.yaml"
        config.write_text(json.dumps({"model_list": [model]}), encoding="utf-8")
        program = str(launch.home / "bin" / "litellm")
        options = ("--config", str(config), "--host", "127.0.0.1", "--port", str(launch.port))
        return (program, *options, "--num_workers", "1")


class Portkey:
    """Portkey's gateway on Node, which is told the upstream with every call."""

    title = "Portkey"
    needs: Sequence[str] = ("node", "npm")
    headers: Sequence[str] = (
        "x-portkey-provider: openai",
        "x-portkey-custom-host: http://127.0.0.1:{upstream}/v1",
    )
    environment: Mapping[str, str] = {"NODE_ENV": "production"}
    cost = table.PORTKEY
    lighter = table.PORTKEY_LIGHTER

    def installation(self, home: Path) -> Sequence[Sequence[str]]:
        """A folder of modules of its own."""
        options = ("--no-audit", "--no-fund", "--loglevel=error")
        return [("npm", "install", "--prefix", str(home), *options, "@portkey-ai/gateway")]

    def version(self, home: Path) -> str:
        """From its own description."""
        file = self._package(home) / "package.json"
        return str(json.loads(file.read_text(encoding="utf-8"))["version"])

    def command(self, launch: Launch) -> Sequence[str]:
        """Without its console in the browser."""
        program = self._package(launch.home) / "build" / "start-server.js"
        return ("node", str(program), f"--port={launch.port}", "--headless")

    def _package(self, home: Path) -> Path:
        return home / "node_modules" / "@portkey-ai" / "gateway"


PEERS: Mapping[str, Peer] = {"litellm": LiteLlm(), "portkey": Portkey()}


@dataclass(frozen=True, slots=True)
class Installed:
    """A gateway that is ready to be started."""

    peer: Peer
    home: Path

    @property
    def name(self) -> str:
        """What was measured, with its version."""
        return f"{self.peer.title} {self.peer.version(self.home)}"


def install_all(names: Sequence[str], folder: Path) -> list[Installed]:
    """Install the gateways of *names* in *folder*; those that cannot be are told of and left out.

    What an earlier run has installed there is used as it is.
    """
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(Installed(PEERS[name], _installed(PEERS[name], folder / name)))
        except PeerMissing as missing:
            tell(PEERS[name], missing)
    return found


def _installed(peer: Peer, home: Path) -> Path:
    missing = [program for program in peer.needs if shutil.which(program) is None]
    if missing:
        raise PeerMissing(f"{' and '.join(missing)} not installed")
    if (home / _INSTALLED).exists():
        return home
    print(f"benchmarks: installing {peer.title} in {home} ...", file=sys.stderr, flush=True)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "install.log"
    for command in peer.installation(home):
        with log.open("ab") as output:
            try:
                done = subprocess.run(
                    command, stdout=output, stderr=output, timeout=INSTALL_SECONDS
                )
            except (OSError, subprocess.TimeoutExpired) as exc:
                raise PeerMissing(f"{command[0]}: {exc}") from exc
        if done.returncode != 0:
            raise PeerMissing(f"it could not be installed: {last_line(log)}")
    (home / _INSTALLED).touch()
    return home


def tell(peer: Peer, reason: Exception) -> None:
    """Say that *peer* is not measured, and why."""
    print(f"benchmarks: {peer.title} is left out: {reason}", file=sys.stderr, flush=True)


def last_line(log: Path) -> str:
    """What a program said last that is a sentence; colours and frames are not."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
    lines = [line.strip() for line in text.splitlines() if re.search(r"[A-Za-z]", line)]
    return lines[-1][:200] if lines else "it said nothing"
