"""Which start of the machine a worker is of, and what comes before what because of it.

The wall clock may be set back while calls wait, and then says of a turn in one worker's segment
that it came before the turn which it answers, in another's. The monotonic clock never does, but it
begins anew with each start of the machine; so the name of a worker tells of which start it is.
"""

from hashlib import blake2b
from pathlib import Path

from officeai_proxy.recording.frames import FrameHeader

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Moment = tuple[bool, int]


def this_boot() -> str:
    """Eight hex digits that stand for this start of the machine; empty where nothing tells it."""
    try:
        told = _BOOT_ID.read_bytes()
    except OSError:
        return ""
    return blake2b(told, digest_size=4).hexdigest()


def moment(header: FrameHeader, segment: str, *, boot: str) -> Moment:
    """Where a frame of *segment* stands among those of all others: greater ones came later.

    What is not known to be of this start of the machine is told apart by the wall clock alone, and
    comes before what is.
    """
    is_of_this_boot = bool(boot) and segment.startswith(boot)
    return is_of_this_boot, header.monotonic_ns if is_of_this_boot else header.wall_ns
