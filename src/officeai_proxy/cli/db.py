"""`officeai-proxy db`: bring the schema up to date, prove that all is sound, index it anew.

`db rotate` has a module of its own.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from officeai_proxy.cli.opening import database_of, trail_of, with_database
from officeai_proxy.cli.rotation import rotate
from officeai_proxy.model import DEFAULT_WORKSPACE, counted
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.models import note_forgotten
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import SCHEMA_REVISION, check, prepare
from officeai_proxy.storage.search.upkeep import reindex

T = TypeVar("T")


@click.group("db")
def command() -> None:
    """Upgrade, check or index the database."""


@command.command()
def upgrade() -> None:
    """Bring the schema to what this version needs, as `serve` does by itself, and list the models
    of what an older version wrote beside this one.
    """

    async def work(database: Database) -> tuple[bool, int]:
        return await prepare(database), await note_forgotten(database)

    is_new, listed = _run(work)
    click.echo(f"The schema is at {SCHEMA_REVISION}" + (" now." if is_new else " already."))
    if listed:
        click.echo(f"Models of conversations that an older version had not listed: {listed}.")


@command.command("check")
def check_() -> None:
    """Look for anything wrong in what is stored; exit code 1 when there is something."""
    problems = _run(check)
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(1)
    click.echo("The database is sound.")


@command.command("reindex")
def reindex_() -> None:
    """Build the search index anew, also where its tables are gone or damaged, and while the proxy
    runs; searches find too little meanwhile.
    """

    async def work(database: Database) -> int:
        trail = trail_of(database, Action.REINDEX_DATABASE, DEFAULT_WORKSPACE)
        await trail.leave(detail={"stage": "begun"})
        return await reindex(database)

    count = with_database(load_settings(), work)
    click.echo(f"The search index is new: {counted(count, 'message')}.")


command.add_command(rotate)


def _run(work: Callable[[Database], Awaitable[T]]) -> T:
    """What *work* gives, on the configured database as it is."""
    settings = load_settings()

    async def opened() -> T:
        database = database_of(settings)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())
