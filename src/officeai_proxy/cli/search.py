"""`officeai-proxy search`: find messages of a workspace, with what was found in bold."""

from collections.abc import Iterator

import click

from officeai_proxy.cli.opening import trail_of, with_database
from officeai_proxy.cli.parameters import Name, limit_option, workspace_option
from officeai_proxy.cli.standard import json_line
from officeai_proxy.errors import RequestRefused
from officeai_proxy.model import Role, iso_text
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest, Stretch
from officeai_proxy.storage.search.hits import Hit, SearchFilter, SearchRepository
from officeai_proxy.words.excerpt import Excerpt, excerpt
from officeai_proxy.words.query import Query

MAX_LIMIT = 1000


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--user", type=Name(), help="Only this user's messages.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only this role.")
@limit_option(20, most=MAX_LIMIT, what="messages")
@workspace_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(
    words: tuple[str, ...],
    user: str | None,
    role: str | None,
    limit: int,
    workspace: str,
    *,
    as_json: bool,
) -> None:
    """Find messages that say all of the words, newest first.

    Words in quotation marks must stand side by side.

    Example: officeai-proxy search 数据库 '"connection pool"' --user alice
    """
    try:
        query = Query.of(" ".join(words))
    except RequestRefused as error:
        raise click.UsageError(error.message) from error
    wanted = SearchFilter(query=query, user_identifier=user, role=role)

    async def find(database: Database) -> Stretch[Hit]:
        trail = trail_of(database, Action.SEARCH, workspace)
        async with database.read() as connection:
            page = await SearchRepository(connection, trail.caller).page(wanted, PageRequest(limit))
        detail = {"messages": len(page.items)}
        await trail.leave(user=user, detail=detail, is_sealed=not page.items)
        return page

    page = with_database(load_settings(), find)
    if as_json:
        click.echo(json_line([_told(hit, query) for hit in page.items]))
    else:
        for line in _lines(page, query):
            click.echo(line)


def _lines(page: Stretch[Hit], query: Query) -> Iterator[str]:
    for hit in page.items:
        message, conversation = hit.message, hit.conversation
        moment = message.timestamp.strftime("%Y-%m-%d %H:%M")
        yield (
            f"{moment}  {conversation.session_id} ({conversation.user_identifier})  {message.role}"
        )
        yield f"  {_in_bold(_excerpt(hit, query))}"
    if not page.items:
        yield "Nothing was found."
    if page.has_more:
        yield f"There are more; these are the newest {len(page.items)}. See --limit."


def _excerpt(hit: Hit, query: Query) -> Excerpt:
    return excerpt(hit.message.content, query.highlights(hit.message.content))


def _in_bold(shown: Excerpt) -> str:
    """The text with its finds in bold; what is no terminal gets it without."""
    text, done = "", 0
    for start, end in shown.highlights:
        text += shown.text[done:start] + click.style(shown.text[start:end], bold=True)
        done = end
    return text + shown.text[done:]


def _told(hit: Hit, query: Query) -> dict[str, object]:
    shown = _excerpt(hit, query)
    return {
        "session_id": hit.conversation.session_id,
        "user_identifier": hit.conversation.user_identifier,
        "title": hit.conversation.title,
        "message_id": hit.message.id,
        "role": hit.message.role,
        "timestamp": iso_text(hit.message.timestamp),
        "snippet": shown.text,
        "highlights": shown.highlights,
    }
