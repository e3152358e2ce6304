"""What the system says of a folder of the data directory in, one line that says what to do out."""

from errno import EACCES, EDQUOT, EEXIST, EFBIG, EISDIR, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path

from officeai_proxy.errors import ConfigurationError

_IN_THE_WAY = "; move away what stands in its place"
_NO_ROOM = "; make room on that disk"
_NO_RIGHT = "; let this account write to all that is there, or name another folder"
_ADVICE = {
    **dict.fromkeys((EEXIST, EISDIR, ENOTDIR), _IN_THE_WAY),
    **dict.fromkeys((EDQUOT, ENOSPC), _NO_ROOM),
    **dict.fromkeys((EACCES, EPERM, EROFS), _NO_RIGHT),
    EFBIG: "; let this account make larger files (`ulimit -f`)",
}


def unusable(what: str, folder: Path, error: OSError) -> ConfigurationError:
    """*what* cannot be done in *folder*, as *error* says."""
    advice = _ADVICE.get(error.errno or 0, "")
    reason = error.strerror or error
    return ConfigurationError(f"OFFICEAI_DATA_DIR: {what} in {folder}: {reason}{advice}")
