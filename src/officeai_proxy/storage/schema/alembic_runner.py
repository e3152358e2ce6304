"""Alembic behind three functions; imported only when the schema has to be changed or compared.

Importing Alembic costs a third of a second, which a start-up on a finished schema need not pay.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.storage.tables import ONLY_FOR, schema

_PACKAGE = Path(__file__).resolve().parents[2]


def scripts_folder(package: Path = _PACKAGE) -> Path:
    """Where the migrations are: beside the sources in a checkout, else inside the package.

    Raises:
        ConfigurationError: they are in neither place.
    """
    repository = package.parents[1]
    if (repository / "alembic.ini").is_file():
        return repository / "alembic"
    inside = package / "_alembic"
    if (inside / "env.py").is_file():
        return inside
    raise ConfigurationError(
        "the migrations are missing from this installation; install officeai-proxy again"
    )


def configuration() -> Config:
    """Alembic's configuration, without a file of it."""
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str | None:
    """The newest revision among the migrations."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, inside the transaction of *connection*.

    Raises:
        ConfigurationError: the schema has a revision that the migrations do not know.
    """
    config = configuration()
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_heads()
    _check_known(config, current)
    command.upgrade(config, "head")


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether Alembic looks at something: the search index is no table that SQLAlchemy knows."""
    return not (kind == "table" and name is not None and name.startswith("message_search"))


def is_for(dialect: str) -> Callable[..., bool]:
    """Whether Alembic looks for something of `tables.py` in a database of *dialect*."""

    def is_wanted(thing: object, *_: object) -> bool:
        info: Mapping[str, object] = getattr(thing, "info", {})
        return info.get(ONLY_FOR, dialect) == dialect

    return is_wanted


def drift(connection: Connection) -> list[str]:
    """What differs between the schema and `tables.py`, in words."""
    dialect = connection.dialect.name
    options = {
        "compare_type": True,
        "include_name": is_compared,
        "include_object": is_for(dialect),
    }
    context = MigrationContext.configure(connection, opts=options)
    changes = compare_metadata(context, schema(dialect))
    return [f"the schema differs; to be right it needs: {_words(change)}" for change in changes]


def _check_known(config: Config, revisions: Iterable[str]) -> None:
    scripts = ScriptDirectory.from_config(config)
    for revision in revisions:
        try:
            scripts.get_revision(revision)
        except CommandError as exc:
            raise ConfigurationError(
                f"the database has schema revision {revision!r}, which this version does not know: "
                "a newer officeai-proxy made it; install that version or a newer one"
            ) from exc


def _words(change: Any) -> str:
    """Alembic gives tuples of an action and its objects, or a list of them for one column."""
    if isinstance(change, list):
        return "; ".join(_words(one) for one in change)
    names = [getattr(part, "name", part) for part in change if not isinstance(part, dict)]
    return " ".join(str(name) for name in names if name is not None)
