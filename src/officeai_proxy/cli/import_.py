"""`officeai-proxy import`: conversations of a file straight into the database."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import click
from rich.console import Console

from officeai_proxy.cli.opening import trail_of, with_database
from officeai_proxy.cli.parameters import Name, workspace_option
from officeai_proxy.cli.standard import harmless, now_and_then
from officeai_proxy.crypto.scratch import scratch_file
from officeai_proxy.formats.reading.imported import Reading
from officeai_proxy.imports import Account, Importer
from officeai_proxy.model import counted, utc_now
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.database import Database


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--user", type=Name(), help="Whose conversations are that the file gives to nobody.")
@workspace_option
def command(file: str, user: str | None, workspace: str) -> None:
    """Bring conversations of a file into the database; exit code 1 when some failed.

    The file is an export of this proxy, ChatGPT's conversations.json or its ZIP, Open WebUI's chat
    export, or a chat that Cursor exported as Markdown; `-` reads it from standard input. To import
    it again changes nothing.

    Example: officeai-proxy import conversations.json --user alice
    """
    settings = load_settings()

    async def work(database: Database) -> Account:
        trail = trail_of(database, Action.IMPORT, workspace)
        importer = Importer(database, trail.caller, user=user)
        with _opened(file) as opened, _progress() as told:
            return await importer.run_on(trail, opened, _reading(settings), told=told)

    account = with_database(settings, work)
    for failure in account.errors:
        click.echo(harmless(f"conversation {failure.item}: {failure.reason}"), err=True)
    if account.failed > len(account.errors):
        click.echo(f"and {account.failed - len(account.errors)} more that failed", err=True)
    click.echo(_told(account))
    if account.failed:
        sys.exit(1)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """The file, to be read as often as its kind asks for; what comes through a pipe comes once."""
    with cast("BinaryIO", click.open_file(file, "rb")) as given:
        if given.seekable():
            yield given
            return
        with scratch_file() as copy:
            shutil.copyfileobj(given, copy)
            yield copy


def _reading(settings: Settings) -> Reading:
    return Reading(
        now=utc_now(),
        item_bytes=settings.max_import_item_bytes,
        # Whoever has a file on this machine may import all of it; only one that unpacks itself
        # to more than this is not what it seems to be.
        total_bytes=settings.max_import_bytes,
    )


def _told(account: Account) -> str:
    return (
        f"{account.imported:,} imported, {account.skipped:,} there already, "
        f"{account.failed:,} failed; {counted(account.messages, 'message')} added"
    )


@contextmanager
def _progress() -> Iterator[Callable[[Account], None]]:
    """Tell how far it is, on standard error: a line that changes on a terminal, else new lines."""
    if not sys.stderr.isatty():
        yield now_and_then(_told)
        return
    with Console(stderr=True).status("Reading …") as status:
        yield lambda account: status.update(_told(account))
