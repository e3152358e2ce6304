"""One worker's counters in a file that it alone writes and every worker of the host reads.

The file is memory that the operating system keeps: an increment is one store, and what was counted
survives `kill -9`. Each slot has one writer, so that nothing needs a lock. The file is locked for
as long as its worker lives; the kernel frees the lock on `kill -9`.
"""

import fcntl
import logging
import mmap
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from officeai_proxy.metrics.catalogue import SAMPLES

SUFFIX = ".board"

MODELS = 50
"""Models that are told by name, in the order in which they were first served; the rest is one."""

OTHER = "other"

NAME_BYTES = 120

NANO_DOLLARS = 1_000_000_000
"""In a dollar. Costs are counted in them, for a call often costs a millionth."""

_MODEL = struct.Struct(f"<{NAME_BYTES}s4Q")
_FINGERPRINT = blake2b("\n".join(SAMPLES).encode(), digest_size=8).digest()
_HEAD = len(_FINGERPRINT)
_MODELS_AT = _HEAD + 8 * len(SAMPLES)
SIZE = _MODELS_AT + _MODEL.size * (MODELS + 1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelCounts:
    """What the replies of one model add up to."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int = 0
    unpriced_calls: int = 0

    def plus(self, other: "ModelCounts") -> "ModelCounts":
        """Both together."""
        return ModelCounts(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_nano + other.cost_nano,
            self.unpriced_calls + other.unpriced_calls,
        )


@dataclass(slots=True)
class Reading:
    """What was counted, on one board or on many."""

    samples: dict[str, int] = field(default_factory=dict)
    models: dict[str, ModelCounts] = field(default_factory=dict)

    def add(self, samples: Mapping[str, int], models: Mapping[str, ModelCounts]) -> None:
        """Add what was counted elsewhere; beyond MODELS names, models become one."""
        for name, count in samples.items():
            self.samples[name] = self.samples.get(name, 0) + count
        for name, counts in models.items():
            is_known = name in self.models or len(self.models) < MODELS
            kept = name if is_known else OTHER
            self.models[kept] = self.models.get(kept, ModelCounts()).plus(counts)


class Board:
    """The counters of this worker."""

    def __init__(self, directory: Path) -> None:
        """Make the file in *directory*, which must exist; locked before anybody sees its name.

        Where the disk has no room for it, calls are served all the same: what is counted is then
        in this worker's own memory, where `/metrics` does not see it.
        """
        self.path = directory / f"{uuid4().hex}{SUFFIX}"
        self._fd: int | None = None
        try:
            self._memory = self._new_file()
        except OSError as exc:
            log.warning("what this worker counts is not in /metrics: %s", exc)
            self._memory = mmap.mmap(-1, SIZE)
        self._view = memoryview(self._memory)
        self.slots = self._view[_HEAD:_MODELS_AT].cast("Q")
        self._models: dict[str, int] = {}

    def _new_file(self) -> mmap.mmap:
        """The file as memory. It is written whole: whoever touches memory over a hole in a file
        dies of it when the disk is full.
        """
        hidden = self.path.with_suffix(".new")
        file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh = _FINGERPRINT.ljust(SIZE, b"\0")
            written = 0
            while written < SIZE:
                written += os.pwrite(file, fresh[written:], written)
            memory = mmap.mmap(file, SIZE)
            hidden.rename(self.path)
        except OSError:
            os.close(file)
            hidden.unlink(missing_ok=True)
            raise
        self._fd = file
        return memory

    def add_model(self, name: str, counts: ModelCounts) -> None:
        """Count replies of the model *name*; belongs to the recorder's thread."""
        place = self._models.get(name)
        if place is None:
            is_full = len(self._models) >= MODELS
            place = MODELS if is_full else len(self._models)
            if not is_full:
                self._models[name] = place
        at = _MODELS_AT + place * _MODEL.size
        _, *numbers = _MODEL.unpack_from(self._memory, at)
        total = ModelCounts(*numbers).plus(counts)
        label = OTHER if place == MODELS else name
        _MODEL.pack_into(
            self._memory,
            at,
            _fitting(label),
            total.prompt_tokens,
            total.completion_tokens,
            total.cost_nano,
            total.unpriced_calls,
        )

    def close(self) -> None:
        """Give up the file and its lock; the file stays."""
        self.slots.release()
        self._view.release()
        self._memory.close()
        if self._fd is not None:
            os.close(self._fd)


def read_board(path: Path) -> Reading:
    """What the board *path* says; nothing when another version of this program wrote it."""
    reading = Reading()
    data = b""
    with suppress(FileNotFoundError):
        data = path.read_bytes()
    if len(data) != SIZE or not data.startswith(_FINGERPRINT):
        return reading
    counts = struct.unpack_from(f"={len(SAMPLES)}Q", data, _HEAD)
    models: dict[str, ModelCounts] = {}
    for place in range(MODELS + 1):
        name, *numbers = _MODEL.unpack_from(data, _MODELS_AT + place * _MODEL.size)
        label = name.rstrip(b"\0").decode("utf-8", "replace")
        if label:
            models[label] = ModelCounts(*numbers)
    reading.add(dict(zip(SAMPLES, counts, strict=True)), models)
    return reading


def _fitting(name: str) -> bytes:
    return name.encode("utf-8", "replace")[:NAME_BYTES].decode("utf-8", "ignore").encode()
