"""`officeai-proxy stats`: the numbers of a workspace's calls as a table or as JSON."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from officeai_proxy.cli.opening import trail_of, with_database
from officeai_proxy.cli.parameters import MOMENT, Name, limit_option, workspace_option
from officeai_proxy.cli.standard import harmless, json_line
from officeai_proxy.history.stats import Stats, read_offset
from officeai_proxy.model import counted
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.calls.filter import CallFilter
from officeai_proxy.storage.calls.stats import CallStats, GroupBy, StatsPage, StatsRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest

MAX_LIMIT = 1000

WIDTH = 110
"""Columns that the table has at least: a number that is cut off is a wrong number."""

_LEAST = 0.00005
"""US dollars that four digits behind the point can tell from nothing."""

_HEADS = ("calls", "errors", "tokens in", "tokens out", "cost $", "p50 ms", "p95 ms", "ttft p50")


@click.command("stats")
@click.option(
    "--by",
    type=click.Choice([by.value for by in GroupBy]),
    default=GroupBy.DAY.value,
    show_default=True,
    help="What calls are put together by.",
)
@click.option("--after", type=MOMENT, help="From this moment on, such as 2026-01-31.")
@click.option("--before", type=MOMENT, help="Up to this moment, which is left out.")
@click.option("--user", type=Name(), help="Only this user's calls.")
@click.option("--model", help="Only calls that asked for this model, or that it served.")
@click.option("--key", help="Only calls with the key of this id.")
@click.option(
    "--utc-offset", default="Z", help="Whose days and hours, such as +08:00; UTC without it."
)
@limit_option(31, most=MAX_LIMIT, what="groups")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print what `GET /stats` answers.")
def command(
    by: str,
    after: datetime | None,
    before: datetime | None,
    user: str | None,
    model: str | None,
    key: str | None,
    utc_offset: str,
    limit: int,
    workspace: str,
    *,
    as_json: bool,
) -> None:
    """Count calls, tokens, cost and times.

    Example: officeai-proxy stats --by model --after 2026-01-01
    """
    try:
        ahead = read_offset(utc_offset)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--utc-offset") from error
    wanted = CallFilter(user=user, model=model, key=key, after=after, before=before)
    grouping = GroupBy(by)

    async def count(database: Database) -> StatsPage:
        trail = trail_of(database, Action.READ_STATISTICS, workspace)
        async with database.read() as connection:
            repository = StatsRepository(connection, trail.caller)
            page = await repository.page(wanted, PageRequest(limit), by=grouping, ahead=ahead)
        detail = {"group_by": grouping.value}
        await trail.leave(user=user, detail=detail, is_sealed=not page.groups.items)
        return page

    page = with_database(load_settings(), count)
    if as_json:
        answer = Stats.of(page, grouping, limit=limit).model_dump(mode="json")
        click.echo(json_line(answer))
        return
    # Without a height a dumb terminal would have 80 columns, whatever width is given.
    size = Console().size
    console = Console(width=max(size.width, WIDTH), height=size.height)
    with console.capture() as printed:
        console.print(_table(page, grouping))
    # click writes UTF-8 where Python would write ASCII, which has no lines and no dashes.
    click.echo(printed.get(), nl=False)
    unpriced = page.total.calls - page.total.priced_calls
    if page.total.priced_calls and unpriced:
        click.echo(f"The cost is without {counted(unpriced, 'call')} of unknown price or tokens.")
    if page.groups.has_more:
        click.echo(f"There are more; these are {len(page.groups.items)}. See --limit.")


def _table(page: StatsPage, by: GroupBy) -> Table:
    table = Table(show_footer=True, box=box.SIMPLE)
    total = ("total", *_cells(page.total))
    for place, (head, foot) in enumerate(zip((by.value, *_HEADS), total, strict=True)):
        table.add_column(head, foot, justify="right" if place else "left", no_wrap=True)
    for group in page.groups.items:
        # Anybody may name a model `[/b]`, which in a plain text is a word of rich's own language.
        table.add_row(Text(harmless(group.key or "–")), *_cells(group.stats))
    return table


def _cells(stats: CallStats) -> Iterator[str]:
    for count in (stats.calls, stats.errors, stats.prompt_tokens, stats.completion_tokens):
        yield f"{count:,}"
    yield "–" if stats.cost is None else _dollars(stats.cost)
    for times, percent in ((stats.latency, 50), (stats.latency, 95), (stats.ttft, 50)):
        time = times.percentile(percent)
        yield "–" if time is None else f"{time:,.0f}"


def _dollars(cost: float) -> str:
    """Four digits behind the point, and as many more as a sum needs that would be nothing else."""
    is_told = cost == 0 or cost >= _LEAST
    return f"{cost:,.4f}" if is_told else f"{Decimal(f'{cost:.2g}'):f}"
