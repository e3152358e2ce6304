"""What workers open in the data directory: whatever is wrong is one line that says what to do."""

from pathlib import Path

import pytest

from officeai_proxy.cli.folders import prove_folders
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.recording.journal import open_directory
from officeai_proxy.settings import Settings


@pytest.mark.parametrize(
    "name", ["journal/recorder.lock", "metrics", "metrics/metrics.lock", "limits", "limits/seats"]
)
def test_what_stands_in_the_way_is_named(tmp_path: Path, name: str) -> None:
    """A file in the place of a folder, a folder in the place of a file."""
    settings = Settings(data_dir=tmp_path)
    open_directory(settings.journal_dir)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).mkdir() if "/" in name else (tmp_path / name).touch()

    with pytest.raises(ConfigurationError, match=r"^OFFICEAI_DATA_DIR: .*; move away what") as told:
        prove_folders(settings)
    assert str(tmp_path / name.partition("/")[0]) in str(told.value)


def test_sound_folders_can_be_proved_again_and_again(tmp_path: Path) -> None:
    """Nothing is kept open, and no seat of a worker is taken for good."""
    settings = Settings(data_dir=tmp_path)
    open_directory(settings.journal_dir)
    for _ in range(2):
        prove_folders(settings)

    assert len(list((tmp_path / "limits").glob("seat-*.lock"))) == 1
