"""Where settings stand in, what no setting is called out; gives no value to anybody.

A name that is nearly right would otherwise be a setting that says nothing and has no effect.
"""

import logging
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from officeai_proxy.errors import ConfigurationError

PREFIX = "OFFICEAI_"

DOTENV = ".env"
TOML = "officeai.toml"

_BYTE_ORDER_MARK = "\ufeff"
"""What editors on Windows put before UTF-8; TOML knows nothing of it, and `.env` may have it."""

_WRITTEN = re.compile(
    rf"^{_BYTE_ORDER_MARK}?[ \t]*(?:export[ \t]+)?'?((?:{PREFIX}|OPENAI_)\w+)(?=['=:\s]|$)",
    re.MULTILINE | re.IGNORECASE,
)
"""A name at the beginning of a line, as it stands where a setting is given."""


def check_files(known: Collection[str]) -> None:
    """Let the settings be read from both files only if all in them can be understood.

    *known* are the names of all settings as they stand in the TOML file, in lower case.

    Raises:
        ConfigurationError: one is no text, what is in the TOML file has a name that no setting has,
            or a setting in `.env` would be passed over; the message is one line that names the file
            and no value.
    """
    written = _WRITTEN.findall(_text_of(DOTENV))
    _refuse_lost(name for name in written if _short(name) in known)
    text = _text_of(TOML)
    if text.startswith(_BYTE_ORDER_MARK):
        raise ConfigurationError(f"{TOML}: it begins with a byte order mark; save it without one")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"{TOML}: {exc}") from None
    faults = "; ".join(_faults(content, known))
    if faults:
        raise ConfigurationError(f"{TOML}: {faults}")


def strange_variables(names: Iterable[str], known: Collection[str], *, place: str) -> Iterator[str]:
    """Those of *names* in *place* that begin like ours and are no setting, a sentence each.

    *known* are the names of all settings in lower case, without the prefix.
    """
    for name in sorted({name.upper() for name in names}):
        short = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and short not in known:
            nearest = _nearest(short, known)
            hint = f"; did you mean {PREFIX}{nearest.upper()}?" if nearest else ""
            yield f"{_shown(name)} in {place} is no setting and has no effect{hint}"


def _text_of(name: str) -> str:
    """The text of the file *name*; nothing when it is not there."""
    file = Path(name)
    try:
        return file.read_text("utf-8") if file.is_file() else ""
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: it is not UTF-8; save it in that encoding") from None
    except OSError as exc:
        raise ConfigurationError(f"{file.absolute()}: it cannot be read ({exc.strerror})") from None


def _refuse_lost(written: Iterable[str]) -> None:
    """Refuse a line that cannot be read, or that is swallowed by a quotation mark left open.

    The library that reads the file passes it over with a warning, and goes on: data would be plain
    that is to be encrypted.
    """
    understood = _understood_in_dotenv()
    for name in written:
        if name.lower() not in understood:
            raise ConfigurationError(
                f"{DOTENV}: {name} cannot be read there; write {name}=value on a line of its own, "
                "and close the quotation marks of the lines above it"
            )


def _understood_in_dotenv() -> Collection[str]:
    """The names in it that the library has read, in lower case."""
    # It warns of all other lines, and does so again when the settings are read.
    library = logging.getLogger("dotenv.main")
    library.disabled = True
    try:
        return DotEnvSettingsSource(
            BaseSettings, env_file=DOTENV, env_file_encoding="utf-8", env_ignore_empty=False
        ).env_vars
    finally:
        library.disabled = False


def _short(name: str) -> str:
    return name.lower().removeprefix(PREFIX.lower())


def _faults(content: Mapping[str, object], known: Collection[str]) -> Iterator[str]:
    for name, value in content.items():
        is_section = isinstance(value, Mapping)
        if name.lower() not in known:
            yield _unknown_section(name, known) if is_section else _unknown_in_file(name, known)
        elif isinstance(value, Mapping):
            # No model is called like a setting: it has slipped below the head of the section.
            for inner in value:
                if inner.lower() in known:
                    yield f"`{inner}` stands in the section [{name}]; put it above all sections"


def _unknown_section(name: str, known: Collection[str]) -> str:
    nearest = _nearest(name, known)
    hint = f"did you mean [{nearest}]?" if nearest else "settings stand above all sections, in none"
    return f"there is no section [{_shown(name)}]; {hint}"


def _unknown_in_file(name: str, known: Collection[str]) -> str:
    short = _short(name)
    if short in known:
        return f"`{_shown(name)}` is called `{short}` in this file"
    nearest = _nearest(short, known)
    hint = f"; did you mean `{nearest}`?" if nearest else ""
    return f"there is no setting `{_shown(name)}`{hint}"


def _nearest(name: str, known: Collection[str]) -> str | None:
    """The one of *known* that was meant, if there is one that looks so."""
    return next(iter(get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.7)), None)


def _shown(name: str) -> str:
    """*name* in one line, whatever is in it."""
    return name if name.isprintable() else repr(name)
