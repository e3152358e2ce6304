"""What `serve` says at its start: a first call that can be copied and works."""

import subprocess
import sys
from pathlib import Path

import pytest

from officeai_proxy.cli.serving import FirstKey, banner
from officeai_proxy.settings import Settings


@pytest.mark.parametrize(
    ("aliases", "model"),
    [
        ({}, "gpt-4o-mini"),
        ({"hear": "whisper-1", "officeai": "gpt-4o"}, "officeai"),
        ({"hear": "gpt-4o-transcribe", "find": "text-embedding-3-small"}, "gpt-4o-mini"),
        ({"draw": "local", "bge": "BAAI/bge-m3"}, "draw"),
    ],
)
def test_the_first_call_names_a_model_that_chats(aliases: dict[str, str], model: str) -> None:
    """A model for speech or for search would answer it with an error."""
    told = banner(
        Settings(model_aliases=aliases), keys=FirstKey("sk-key", "once"), database_note="a file"
    )

    assert f'{{"model": "{model}", "messages"' in told


TOLD_WHILE_IT_LOADS = """
import os, signal, sys, weakref
from officeai_proxy.cli import serve

class Loading:
    def find_spec(self, name, *_):
        if name == "officeai_proxy.cli.serving":
            thing = type("Thing", (), {})()
            told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
            del thing
            print("went on", flush=True)

sys.meta_path.insert(0, Loading())
serve.command(["--port", "0"])
"""
"""Python runs a handler wherever the program is, also in what the garbage collector calls."""


def test_a_signal_while_the_program_loads_ends_it_in_silence(tmp_path: Path) -> None:
    """Most of a start is imports: without a handler the signal is a failure there, or not heard.

    What is raised in such a callback is printed as a trace and forgotten, and the start goes on.
    """
    done = subprocess.run(
        [sys.executable, "-c", TOLD_WHILE_IT_LOADS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
