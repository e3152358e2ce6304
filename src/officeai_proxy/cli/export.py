"""`officeai-proxy export`: conversations from the database to a file, also while the proxy runs."""

import sys
from datetime import datetime
from pathlib import Path

import click

from officeai_proxy.cli.opening import trail_of, with_database
from officeai_proxy.cli.output import STANDARD_OUTPUT, is_standard_output, open_output
from officeai_proxy.cli.parameters import MOMENT, Name, workspace_option
from officeai_proxy.cli.progress import progress
from officeai_proxy.exports import Order, open_export
from officeai_proxy.formats.registry import DEFAULT_INNER, FORMATS, INNER_FORMATS, guess_format
from officeai_proxy.formats.writing.passages import Options
from officeai_proxy.model import counted, utc_now
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.conversations.conversations import ConversationFilter, Deleted
from officeai_proxy.storage.database import Database

DEFAULT_FORMAT = "json"


def _with_a_name(_: click.Context, __: click.Parameter, output: Path) -> Path:
    """Refuse the empty path, which is what a variable without a value gives."""
    if not output.name:
        raise click.BadParameter("The file needs a name; `-` is standard output.")
    return output


@click.command("export")
@click.option(
    "--format",
    "-f",
    "format_",
    type=click.Choice(list(FORMATS)),
    help="The format; by default what the file's name says, else json.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    default=STANDARD_OUTPUT,
    callback=_with_a_name,
    help="The file; `-` is standard output, and the default.",
)
@click.option("--session", type=Name(), help="Only the conversation of this session.")
@click.option("--user", type=Name(), help="Only this user's.")
@click.option("--model", type=str, help="Only those with a message of this model.")
@click.option("--after", type=MOMENT, help="Only those created at this moment or later.")
@click.option("--before", type=MOMENT, help="Only those created before this moment.")
@click.option(
    "--deleted",
    type=click.Choice([one.value for one in Deleted]),
    default=Deleted.NO.value,
    show_default=True,
    help="Those in the bin: no, only, or with the others.",
)
@workspace_option
@click.option(
    "--inner",
    type=click.Choice(INNER_FORMATS),
    default=DEFAULT_INNER,
    show_default=True,
    help="The format of the files in a ZIP.",
)
@click.option(
    "--csv-safe/--no-csv-safe", default=True, help="Keep spreadsheets from running cells of CSV."
)
def command(
    format_: str | None,
    output: Path,
    session: str | None,
    user: str | None,
    model: str | None,
    after: datetime | None,
    before: datetime | None,
    deleted: str,
    workspace: str,
    inner: str,
    *,
    csv_safe: bool,
) -> None:
    """Write conversations to a file.

    The file has its name only once it is whole. Example: officeai-proxy export -o all.zip
    """
    wanted = ConversationFilter(
        user_identifier=user,
        model=model,
        created_after=after,
        created_before=before,
        deleted=Deleted(deleted),
    )
    told = {"session_id": session, "user_identifier": user, "model": model, "deleted": deleted}
    moments = {"created_after": after, "created_before": before}
    told |= {name: moment.isoformat() for name, moment in moments.items() if moment}
    options = Options(
        exported_at=utc_now(),
        csv_safe=csv_safe,
        inner=inner,
        filters={name: text for name, text in told.items() if text},
    )
    named = format_ or guess_format(output.name)
    chosen = named or DEFAULT_FORMAT
    order = Order(format=chosen, options=options, conversations=wanted, session_id=session)
    _refuse_a_terminal(output, chosen)
    place = "standard output" if is_standard_output(output) else str(output)
    if named is None and not is_standard_output(output):
        place += f", as {chosen}"
    much = with_database(
        load_settings(), lambda database: _write(database, workspace, order, output)
    )
    click.echo(f"Wrote {much} to {place}.", err=True)


def _refuse_a_terminal(output: Path, chosen: str) -> None:
    if is_standard_output(output) and not FORMATS[chosen].is_text and sys.stdout.isatty():
        raise click.UsageError(f"{chosen} is nothing to read; name a file with -o.")


async def _write(database: Database, workspace: str, order: Order, output: Path) -> str:
    """Write it, and say how much it was."""
    action = Action.EXPORT_ALL if order.session_id is None else Action.EXPORT_CONVERSATION
    trail = trail_of(database, action, workspace)
    async with open_export(database, trail.caller, order) as export:
        await export.leave_on(trail)
        with open_output(output) as file, progress(export) as advance:
            async for piece in export.pieces():
                file.write(piece)
                advance()
        written = export.written
    conversations = counted(written.conversations, "conversation")
    return f"{conversations} with {counted(written.messages, 'message')}"
