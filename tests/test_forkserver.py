"""A copy of a process that has read the modules is the program: it says, does and ends the same."""

import signal
import subprocess
from pathlib import Path

import pytest
from tests import forkserver
from tests.proxies import COMMAND, CopiedProxy, clean_environment


@pytest.mark.parametrize("words", ["--version", "keys --help", "nothing", "export --format pdf"])
def test_it_says_and_ends_what_the_program_does(tmp_path: Path, words: str) -> None:
    """Standard output, standard error and the exit code are those of a real start."""
    settings = clean_environment(OFFICEAI_DATA_DIR=str(tmp_path / "data"))
    real = subprocess.run(
        (*COMMAND, *words.split()), cwd=tmp_path, env=settings, capture_output=True, text=True
    )

    copied = forkserver.run(words.split(), folder=tmp_path, environment=settings)

    assert (copied.returncode, copied.stdout, copied.stderr) == (
        real.returncode,
        real.stdout,
        real.stderr,
    )


def test_its_folder_and_settings_are_its_own(tmp_path: Path) -> None:
    """One is where it was started, the other what it was given, whatever others were."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        settings = clean_environment(OFFICEAI_DATA_DIR=f"of-{name}")
        done = forkserver.run(["keys", "list"], folder=tmp_path / name, environment=settings)
        assert done.returncode == 0, done.stderr

    assert [path.parent.name for path in tmp_path.glob("*/of-*")] == ["one", "two"]


def test_it_can_be_killed_and_started_again(tmp_path: Path) -> None:
    """It leads a group of its own, and its end is told with the signal."""
    with CopiedProxy(tmp_path) as proxy:
        assert proxy.process.poll() is None
        proxy.kill()
        assert proxy.process.returncode == -signal.SIGKILL

        proxy.start()

        assert proxy.get("/health/live").status_code == 200
        assert proxy.stop() == 0
