"""The page's own files: read and compressed once, sent for ever under names that hold their hash.

A file's name changes with its content, so a browser may keep it for ever. Nothing else is served.
from here: a name that is not in the list does not exist.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"

FOR_EVER = "public, max-age=31536000, immutable"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed."""

    media_type: str
    plain: bytes
    packed: bytes


class Assets:
    """All files of the page by their public names."""

    def __init__(self, folder: Path = STATIC) -> None:
        """Read and compress what is in *folder*."""
        self._files: dict[str, Asset] = {}
        names: dict[str, str] = {}
        for file in sorted(folder.iterdir()):
            if file.suffix not in _MEDIA_TYPES:
                continue
            data = file.read_bytes()
            tag = hashlib.sha256(data).hexdigest()[:12]
            public = f"{file.stem}.{tag}{file.suffix}"
            names[file.name] = public
            packed = gzip.compress(data, compresslevel=9, mtime=0)
            self._files[public] = Asset(_MEDIA_TYPES[file.suffix], data, packed)
        self._names: Mapping[str, str] = names

    def url(self, name: str) -> str:
        """Where the file *name* is."""
        return f"/ui/static/{self._names[name]}"

    def urls(self) -> list[str]:
        """Where all files are."""
        return [self.url(name) for name in self._names]

    def find(self, public: str) -> Asset | None:
        """The file with this public name; None when there is none."""
        return self._files.get(public)
