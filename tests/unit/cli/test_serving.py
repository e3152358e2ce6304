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


TOLD_WITHIN_A_CALLBACK = """
import os, signal, weakref
from officeai_proxy.cli import serving
from officeai_proxy.settings import Settings

def open_directory(_):
    thing = type("Thing", (), {})()
    told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    del thing

serving.open_directory = open_directory
serving.check_keys = lambda *_: print("went on", flush=True)
serving.serve(Settings())
"""
"""Python runs a handler wherever the program is, also in what the garbage collector calls."""


def test_a_signal_that_comes_at_a_bad_moment_of_the_start_ends_it_in_silence(
    tmp_path: Path,
) -> None:
    """What is raised in such a callback is printed as a trace, and forgotten: the start went on."""
    done = subprocess.run(
        [sys.executable, "-c", TOLD_WITHIN_A_CALLBACK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
