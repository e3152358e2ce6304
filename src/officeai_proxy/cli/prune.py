"""`officeai-proxy prune`: delete by hand what retention would, also while the proxy runs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from officeai_proxy.audit import COMMAND_LINE
from officeai_proxy.cli.opening import with_database
from officeai_proxy.cli.parameters import DURATION
from officeai_proxy.model import counted, utc_now
from officeai_proxy.retention.pruning import Plan, Pruning, plan_of
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.retention import Amount, Due


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing.")
@click.option(
    "--older-than", type=DURATION, help="What had no activity for so long: 90d, 12h, 30m."
)
@click.option("--bin", "empty_bin", is_flag=True, help="All that is in the bin now.")
@click.option(
    "--archive-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write conversations to a file there before they go (OFFICEAI_ARCHIVE_DIR).",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    older_than: timedelta | None,
    archive_dir: Path | None,
    *,
    dry_run: bool,
    empty_bin: bool,
    yes: bool,
) -> None:
    """Delete what is too old, and empty the bin, for good.

    Without --older-than and --bin: what the settings say. What is in the bin is not archived.

    Example: officeai-proxy prune --older-than 90d --archive-dir archive --dry-run
    """
    settings = load_settings()
    now = utc_now()
    plan = _plan(settings, now, older_than=older_than, empty_bin=empty_bin, archive_dir=archive_dir)

    async def look(database: Database) -> list[Amount]:
        return await _pruning(database).amounts(plan)

    async def prune(database: Database) -> list[Amount]:
        return await _pruning(database).run(plan)

    due = with_database(settings, look)
    _tell(due, "would go" if dry_run else "go")
    if dry_run or (not due and plan.audit_before is None):
        return
    if due and not yes:
        click.confirm("Delete this for good?", abort=True)
    _tell(with_database(settings, prune), "deleted")


def _plan(
    settings: Settings,
    now: datetime,
    *,
    older_than: timedelta | None,
    empty_bin: bool,
    archive_dir: Path | None,
) -> Plan:
    """What the options say; what the settings say, where they say nothing."""
    planned = plan_of(settings, now)
    due = planned.due
    if older_than is not None or empty_bin:
        due = Due(
            before=None if older_than is None else now - older_than,
            binned_before=now if empty_bin else None,
        )
    return Plan(
        due=due, archive_dir=archive_dir or planned.archive_dir, audit_before=planned.audit_before
    )


def _pruning(database: Database) -> Pruning:
    return Pruning(database, actor=COMMAND_LINE, clock=utc_now)


def _tell(amounts: Sequence[Amount], word: str) -> None:
    for one in amounts:
        click.echo(
            f"{one.workspace}: {counted(one.conversations, 'conversation')} with "
            f"{counted(one.messages, 'message')}, {counted(one.calls, 'call')} {word}"
        )
    if not amounts:
        click.echo("Nothing is old enough.")
