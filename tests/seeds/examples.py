"""The programs of the first documents as their readers run them, and what a conversation needs.

A file under `tests/seeds/<document>/` in, what it printed out. Only the address and the key are put
in; a program that has no place for a key finds it where curl looks for it by itself.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.proxies import RunningProxy, clean_environment
from tests.sdk.installed import need

HERE = Path(__file__).parent

ADDRESSES = ("http://localhost:8000", "http://localhost:5010")
PLACE_OF_KEY = "your-api-key"

USER = "reader"


def example(name: str, proxy: RunningProxy) -> str:
    """The file *name*, such as `001/chat.py`, with the address and the key of *proxy*."""
    text = (HERE / name).read_text("utf-8")
    for address in ADDRESSES:
        text = text.replace(address, proxy.root)
    return text.replace(PLACE_OF_KEY, proxy.key)


def written(name: str, proxy: RunningProxy, folder: Path) -> Path:
    """The same as a file in *folder*."""
    file = folder / Path(name).name
    file.write_text(example(name, proxy), "utf-8")
    return file


def run(command: list[str], folder: Path, **environment: str) -> str:
    """What *command* prints in *folder*; it must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(HOME=str(folder), **environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def run_shell(name: str, proxy: RunningProxy, folder: Path) -> str:
    """What a shell's example prints for somebody who has told curl nothing about a key."""
    need("bash", "curl")
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    windows_curl = programs / "curl.exe"
    windows_curl.write_text('#!/bin/sh\nexec curl "$@"\n')
    windows_curl.chmod(0o755)
    file = written(name, proxy, folder)
    return run(["bash", "-c", f'PATH="{programs}:$PATH"; set -eu; . "./{file.name}"'], folder)


def set_key_once(proxy: RunningProxy, folder: Path) -> None:
    """Give curl the key for all of its calls, in the file that it reads at each start."""
    (folder / ".curlrc").write_text(f'header = "Authorization: Bearer {proxy.key}"\n')


def begin(proxy: RunningProxy, session: str, *messages: Mapping[str, object]) -> None:
    """Have exactly *messages* in *session*, whatever another example has left there."""
    with proxy.client() as client:
        client.delete(f"/conversations/{session}", params={"permanent": "true"})
        named = {"session_id": session, "user_identifier": USER, "title": session}
        assert client.post("/conversations/", json=named).status_code == 201
        for start in range(0, len(messages), 1000):
            added = client.post(
                f"/conversations/{session}/messages", json=messages[start : start + 1000]
            )
            assert added.status_code == 201, added.text
