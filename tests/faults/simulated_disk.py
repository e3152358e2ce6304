"""A disk that forgets at a power loss what was not synced: a model under the journal's real files.

The journal works on a real folder, and the model watches its calls to the operating system. What
`fdatasync` has covered survives; so does a name once its folder was synced. POSIX promises no more.
Everything else is, sector by sector, kept, lost, garbled or somebody's old bytes, as chance will
have it. A sync that fails loses what it should have written for good, and the next one succeeds:
that is what Linux does (LWN 752063, "fsyncgate"). A sector of 512 bytes is written whole or not.
"""

import errno
import os
import random
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import pytest

SECTOR = 512

_syncs = (os.fsync, getattr(os, "fdatasync", os.fsync))
_write, _rename, _replace, _unlink = os.write, os.rename, os.replace, os.unlink


class SimulatedDisk:
    """One folder of a machine whose power goes at the *last*-th call to the operating system."""

    def __init__(
        self, folder: Path, chance: random.Random, *, last: int, failing_syncs: float = 0.0
    ) -> None:
        """*failing_syncs* is the share of syncs that fail with EIO."""
        self.folder = folder
        self._chance = chance
        self._calls_left = last
        self._failing_syncs = failing_syncs
        # Held open, so that what is deleted can come back and no inode number is used twice.
        self._held: dict[int, int] = {}
        self._safe_bytes: dict[int, bytes] = {}
        self._gone_for_good: dict[int, list[tuple[int, int]]] = {}
        self._safe_names: dict[str, int] = {}
        self._on_power_loss: Callable[[], None] = lambda: None

    @contextmanager
    def watched(self, on_power_loss: Callable[[], None]) -> Iterator[None]:
        """Watch the calls, and call *on_power_loss* in the moment when the power goes."""
        self._on_power_loss = on_power_loss
        with pytest.MonkeyPatch.context() as patch:
            for name, real in (("write", _write), ("rename", _rename), ("replace", _replace)):
                patch.setattr(os, name, self._counted(real))
            patch.setattr(os, "unlink", self._counted(_unlink))
            patch.setattr(os, "fsync", self.sync)
            patch.setattr(os, "fdatasync", self.sync, raising=False)
            for module, name in _other_names_of_sync():
                patch.setattr(module, name, self.sync)
            yield
        for descriptor in self._held.values():
            os.close(descriptor)

    def sync(self, descriptor: int) -> None:
        """`fsync` and `fdatasync`: of a folder its names, of a file its bytes."""
        self._step()
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._safe_names = self._names_now()
        else:
            self._sync_file(status.st_ino)
        self._step()

    def photograph(self, target: Path) -> None:
        """Write into the folder *target* what is on the disk when the power comes back."""
        now = self._names_now()
        for name in sorted(now.keys() | self._safe_names.keys()):
            candidates = {now.get(name), self._safe_names.get(name)}
            inode = self._chance.choice(sorted(candidates, key=str))
            if inode is not None:
                (target / name).write_bytes(self._after_power_loss(inode))

    def _counted(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            self._step()
            return real(*arguments, **more)

        return call

    def _step(self) -> None:
        self._calls_left -= 1
        if self._calls_left == 0:
            self._on_power_loss()

    def _names_now(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                found[path.name] = inode = path.stat().st_ino
                if inode not in self._held:
                    self._held[inode] = os.open(path, os.O_RDONLY)
        return found

    def _bytes_now(self, inode: int) -> bytes:
        held = self._held[inode]
        return os.pread(held, os.fstat(held).st_size, 0)

    def _sync_file(self, inode: int) -> None:
        self._names_now()
        now = bytearray(self._bytes_now(inode))
        lost = self._gone_for_good.setdefault(inode, [])
        if self._chance.random() < self._failing_syncs:
            lost.append((len(self._safe_bytes.get(inode, b"")), len(now)))
            raise OSError(errno.EIO, "Input/output error")
        for start, end in lost:
            now[start:end] = bytes(max(0, min(end, len(now)) - start))
        self._safe_bytes[inode] = bytes(now)

    def _after_power_loss(self, inode: int) -> bytes:
        safe, now = self._safe_bytes.get(inode, b""), self._bytes_now(inode)
        for start, end in self._gone_for_good.get(inode, ()):
            now = now[:start] + bytes(max(0, min(end, len(now)) - start)) + now[end:]
        if len(now) <= len(safe):
            return self._chance.choice((safe, now)) if safe.startswith(now) else safe
        fate = self._chance.choice(("kept", "lost", "mixed", "mixed"))
        if fate == "mixed":
            return safe + self._mixed(now, len(safe))
        return now if fate == "kept" else safe

    def _mixed(self, now: bytes, start: int) -> bytes:
        """What became of the bytes from *start* on, sector by sector; the end may be missing."""
        share_kept = self._chance.choice((0.3, 0.9))
        pieces = []
        while start < len(now):
            end = min(len(now), (start // SECTOR + 1) * SECTOR)
            is_kept = self._chance.random() < share_kept
            pieces.append(now[start:end] if is_kept else self._spoiled(now[start:end]))
            start = end
        whole = b"".join(pieces)
        return (
            whole[: self._chance.randint(0, len(whole))] if self._chance.random() < 0.3 else whole
        )

    def _spoiled(self, sector: bytes) -> bytes:
        size = len(sector)
        old = self._bytes_now(self._chance.choice(sorted(self._held)))
        zeros, noise = bytes(size), self._chance.randbytes(size)
        one_bit = sector[:-1] + bytes([sector[-1] ^ 1])
        return self._chance.choice((zeros, noise, one_bit, old[:size].ljust(size, b"\0")))


def _other_names_of_sync() -> Iterator[tuple[ModuleType, str]]:
    """Where the recording's modules have given `fdatasync` a name of their own."""
    for name, module in list(sys.modules.items()):
        if name.startswith("officeai_proxy.recording."):
            for attribute, value in list(vars(module).items()):
                if value in _syncs:
                    yield module, attribute
