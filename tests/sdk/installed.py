"""Programs of other people that tests run: SDKs and npm packages, installed once and kept."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

KEPT = Path(sys.prefix) / "other-peoples-programs"

NODE_PACKAGES = ("openai@7.5.0", "axios@1.13.2", "uuid@11.1.0")


def need(*programs: str) -> None:
    """Skip the test without *programs*; where CI is set, fail it: there they have to be."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def python_packages(name: str, *requirements: str) -> Path:
    """A folder for PYTHONPATH with *requirements* in it."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    return _installed(name, requirements, [*command, "--target", "{}", *requirements])


def node_packages() -> Path:
    """A folder with `node_modules` in it."""
    need("node", "npm")
    command = ["npm", "install", "--silent", "--no-package-lock", "--no-audit", "--no-fund"]
    return _installed("node", NODE_PACKAGES, [*command, "--prefix", "{}", *NODE_PACKAGES])


def _installed(name: str, wanted: Sequence[str], command: Sequence[str]) -> Path:
    """Install into a folder of *name*, unless just that is there; one process at a time."""
    folder, done = KEPT / name, KEPT / f"{name}.done"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != " ".join(wanted):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            subprocess.run([part.format(folder) for part in command], check=True, timeout=300)
            done.write_text(" ".join(wanted))
    return folder
