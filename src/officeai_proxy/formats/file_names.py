"""Any text in, a file's name that every system can hold out; never one that leads anywhere."""

import re
import unicodedata

MAX_NAME = 60
"""Characters of a name before its end; in bytes at most four times that."""

# Windows has these for devices, with any ending.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(\..*)?", re.IGNORECASE)
_UNSAFE = re.compile(r'[<>:"/\\|?*]')

# Unassigned, private and invisible characters, and those that turn the direction of text.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def safe_name(text: str) -> str:
    """*text* as a file's name without its ending; "" when nothing of it can be in one."""
    plain = unicodedata.normalize("NFC", text[: 4 * MAX_NAME])
    visible = "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in plain)
    name = " ".join(_UNSAFE.sub("_", visible).split())[:MAX_NAME].strip(" .")
    return f"_{name}" if _RESERVED.fullmatch(name) else name
