"""Words that are said while texts are sealed, and the files that tell them all the same."""

from contextlib import suppress
from pathlib import Path

BIRD = "a-nightingale-夜莺"


def files_with_bird(folder: Path) -> list[str]:
    """The names of the files in *folder*, at any depth, in which a word of `BIRD` can be read."""
    words = (BIRD.encode(), "夜莺".encode(), b"nightingale")
    found: list[str] = []
    for file in folder.rglob("*"):
        # Some files are replaced while they are looked at.
        with suppress(FileNotFoundError, IsADirectoryError):
            content = file.read_bytes()
            found += [file.name] if any(word in content for word in words) else []
    return found
