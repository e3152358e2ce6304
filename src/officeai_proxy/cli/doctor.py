"""`officeai-proxy doctor`: look at everything the proxy needs and say what is wrong with it."""

import asyncio
import shutil
import sys
from dataclasses import asdict, dataclass
from http import HTTPStatus

import click

from officeai_proxy.cli.folders import prove_folders
from officeai_proxy.cli.opening import database_of
from officeai_proxy.cli.standard import json_line
from officeai_proxy.errors import ProxyError
from officeai_proxy.proxy.upstream import Timeouts, UpstreamRequest, choose_upstream
from officeai_proxy.recording.journal import open_directory
from officeai_proxy.retention.archive import check_directory
from officeai_proxy.settings import MEGABYTE, Settings, load_settings, strange_names
from officeai_proxy.storage.schema.inspection import look_over
from officeai_proxy.storage.schema.migrations import SCHEMA_REVISION, revision_of, stranger_in
from officeai_proxy.storage.schema.rights import missing_right

LITTLE_SPACE = 512 * MEGABYTE
SERVER_ERROR = 500
REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is well, and what to know about it."""

    what: str
    is_well: bool
    note: str


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(*, as_json: bool) -> None:
    """Look at the configuration and say what is wrong with it; exit code 1 when something is."""
    settings = load_settings()
    findings = [
        _names(),
        _data(settings),
        *_archive(settings),
        *asyncio.run(_services(settings)),
        _keys(settings),
    ]
    if as_json:
        click.echo(json_line([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok ' if finding.is_well else 'BAD'}  {finding.what:9} {finding.note}")
    sys.exit(0 if all(finding.is_well for finding in findings) else 1)


def _names() -> Finding:
    strange = strange_names()
    note = "; ".join(strange) or "every OFFICEAI_… variable is a setting"
    return Finding("settings", is_well=not strange, note=note)


def _data(settings: Settings) -> Finding:
    try:
        open_directory(settings.journal_dir)
        prove_folders(settings)
    except ProxyError as error:
        return Finding("data", is_well=False, note=error.message)
    free = shutil.disk_usage(settings.data_dir).free
    note = f"{settings.data_dir.resolve()} can be written, {free // MEGABYTE} MB free"
    return Finding("data", is_well=free > LITTLE_SPACE, note=note)


def _archive(settings: Settings) -> list[Finding]:
    """Only where retention would write there: nothing else does by itself."""
    directory = settings.archive_dir
    if directory is None or not settings.retention_days:
        return []
    try:
        check_directory(directory)
    except ProxyError as error:
        return [Finding("archive", is_well=False, note=error.message)]
    return [Finding("archive", is_well=True, note=f"{directory.resolve()} can be written")]


async def _services(settings: Settings) -> list[Finding]:
    return [await _database(settings), await _upstream(settings)]


async def _database(settings: Settings) -> Finding:
    database = database_of(settings)
    try:
        revision = await revision_of(database)
        if revision == SCHEMA_REVISION:
            await database.unlock()
        await look_over(database)
        fault = await stranger_in(database) or await missing_right(
            database, is_current=revision == SCHEMA_REVISION
        )
    except ProxyError as error:
        return Finding("database", is_well=False, note=f"{database.location}: {error}")
    finally:
        await database.close()
    if fault:
        return Finding("database", is_well=False, note=f"{database.location}: {fault}")
    if revision is not None and revision > SCHEMA_REVISION:
        note = f"the schema is newer than this version; see `officeai-proxy db check` ({revision})"
        return Finding("database", is_well=False, note=f"{database.location}: {note}")
    if revision == SCHEMA_REVISION:
        note = f"schema up to date, {_sealing(settings)}"
    else:
        note = "the schema is brought up to date by `serve` or `db upgrade`"
    return Finding("database", is_well=True, note=f"{database.location}: {note}")


def _sealing(settings: Settings) -> str:
    names = ", ".join(settings.encryption_keys)
    return f"encrypted with the keys {names}" if names else "not encrypted"


async def _upstream(settings: Settings) -> Finding:
    """Ask for the upstream's models: the one call that every compatible server answers."""
    timeouts = Timeouts(
        settings.connect_timeout, settings.connect_timeout, settings.connect_timeout
    )
    base = settings.upstream_base_url
    key = settings.upstream_api_key
    headers = [(b"authorization", f"Bearer {key.get_secret_value()}".encode())] if key else []
    path = base.split("://", 1)[1].partition("/")[2]
    target = f"/{path}/models".replace("//", "/").encode()
    try:
        upstream = choose_upstream(base, timeouts, trust_env=settings.upstream_trust_env)
        exchange = upstream.exchange()
        try:
            await exchange.send(UpstreamRequest(b"GET", target, headers, None))
        finally:
            exchange.abort()
            await upstream.close()
    except ProxyError as error:
        return Finding("upstream", is_well=False, note=error.message)
    if exchange.status in REFUSED:
        note = f"{base} refuses the key: set OFFICEAI_UPSTREAM_API_KEY"
        return Finding("upstream", is_well=False, note=note)
    is_well = exchange.status < SERVER_ERROR
    note = f"{base} answers {exchange.status}"
    if exchange.status == HTTPStatus.NOT_FOUND:
        # Few servers keep no list of models, and many base URLs lack their path.
        note += "; if calls are answered so, too, a path such as /v1 is missing in the base URL"
    return Finding("upstream", is_well=is_well, note=note)


def _keys(settings: Settings) -> Finding:
    if settings.api_keys:
        note = f"{len(settings.api_keys)} in OFFICEAI_API_KEYS"
    else:
        note = "managed keys only; `serve` makes one where there is none"
    return Finding("keys", is_well=True, note=note)
