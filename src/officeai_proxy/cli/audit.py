"""`officeai-proxy audit`: read the audit log, and prove that nobody has changed it."""

import sys

import click

from officeai_proxy.cli.opening import with_database
from officeai_proxy.cli.parameters import MOMENT, Name, Read, limit_option, workspace_option
from officeai_proxy.cli.standard import json_line
from officeai_proxy.model import Caller, counted, iso_text
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action, Row
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository, Head, detail_of
from officeai_proxy.storage.audit.verification import Verdict, verify
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import Page, PageRequest

MAX_LIMIT = 100_000


def _head(text: str) -> Head:
    """The end of the log as `audit verify` told it: `1234:9f86d0…`."""
    count, _, digest = text.partition(":")
    try:
        return Head(int(count), bytes.fromhex(digest))
    except ValueError as exc:
        raise ValueError(f"{text!r} is not an end that `audit verify` told") from exc


@click.group("audit")
def command() -> None:
    """Read the audit log, and prove that it is whole."""


@command.command("verify")
@click.option(
    "--head", type=Read("head", _head), help="An end that was told before; it must be there still."
)
def verify_(head: Head | None) -> None:
    """Prove that the audit log is as it was written; exit code 1 when it is not.

    Keep the end that it tells somewhere else, and give it back with --head: without that, whoever
    may write to the database could cut off the newest rows and leave no trace.

    Example: officeai-proxy audit verify --head 1234:9f86d081884c7d65…
    """

    async def work(database: Database) -> Verdict:
        return await verify(database, known=head)

    verdict = with_database(load_settings(), work)
    if verdict.fault is not None:
        click.echo(f"The audit log is broken: {verdict.fault}.")
        sys.exit(1)
    click.echo(f"The audit log is whole: {counted(verdict.rows, 'row')}.")
    click.echo(f"{verdict.head.count}:{verdict.head.hash.hex()}")


@command.command("list")
@workspace_option
@click.option("--actor", type=str, help="Only what this key did; its id.")
@click.option("--action", type=click.Choice([one.value for one in Action]), help="Only this.")
@click.option("--user", type=Name(), help="Only about this user, also that they were erased.")
@click.option("--after", type=MOMENT, help="Only at this moment or later.")
@click.option("--before", type=MOMENT, help="Only before this moment.")
@limit_option(50, most=MAX_LIMIT, what="rows")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(workspace: str, limit: int, *, as_json: bool, **filters: object) -> None:
    """List what was done in a workspace, newest first.

    Example: officeai-proxy audit list --user alice --action conversation.export
    """
    wanted = AuditFilter(**filters)  # type: ignore[arg-type]  # the options have the filter's names

    async def read(database: Database) -> Page[Row]:
        async with database.read() as connection:
            repository = AuditRepository(connection, Caller("", workspace))
            return await repository.page(wanted, PageRequest(limit))

    page = with_database(load_settings(), read)
    if as_json:
        click.echo(json_line([_told(row) for row in page.items]))
        return
    for row in page.items:
        names = " ".join(name for name in (row.user_identifier, row.target) if name)
        moment = row.at.strftime("%Y-%m-%d %H:%M:%S")
        place = row.client_ip or "-"
        click.echo(f"{row.id}  {moment}  {row.actor}  {place}  {row.action}  {names}".rstrip())
    if not page.items:
        click.echo("There is nothing.")
    if page.has_more:
        click.echo(f"There are {page.total}; these are the newest {len(page.items)}. See --limit.")


def _told(row: Row) -> dict[str, object]:
    return {
        "id": row.id,
        "at": iso_text(row.at, timespec="microseconds"),
        "actor": row.actor,
        "action": row.action,
        "user_identifier": row.user_identifier,
        "target_kind": row.target_kind,
        "target": row.target,
        "detail": detail_of(row),
        "client_ip": row.client_ip,
        "workspace": row.workspace,
        "hash": row.hash.hex(),
    }
