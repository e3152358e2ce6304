"""`officeai-proxy keys`: make, list, rotate and revoke keys, also while the proxy runs."""

from datetime import datetime, timedelta

import click

from officeai_proxy.audit import COMMAND_LINE
from officeai_proxy.auth.key_lines import key_line, key_state
from officeai_proxy.auth.keys import end_of_overlap, make_key, rotated
from officeai_proxy.cli.opening import with_database
from officeai_proxy.cli.parameters import DURATION, OVERLAP, SCOPES, Name, workspace_option
from officeai_proxy.cli.standard import json_line
from officeai_proxy.model import MAX_INTEGER, ApiKey, Limits, Scope, utc_now
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.audit.chain import Action, Detail, Event
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.database import Database

_LIMIT = click.IntRange(1, MAX_INTEGER)


@click.group("keys")
def command() -> None:
    """Make, list, rotate and revoke keys; a running proxy knows within 5 seconds."""


@command.command()
@click.option("--name", required=True, type=Name(), help="What the key is for.")
@workspace_option
@click.option(
    "--scopes",
    default=",".join(Scope),
    type=SCOPES,
    show_default=True,
    help="What the key may do, comma separated.",
)
@click.option("--user", type=Name(), help="Bind the key to one user_identifier.")
@click.option("--expires", type=DURATION, help="When it ends: 90d, 12h, 30m.")
@click.option("--rpm", type=_LIMIT, help="Requests in a minute, at most.")
@click.option("--tpm", type=_LIMIT, help="Tokens in a minute, at most.")
@click.option("--concurrency", type=_LIMIT, help="Calls at one time, at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create(
    name: str,
    workspace: str,
    scopes: frozenset[Scope],
    user: str | None,
    expires: timedelta | None,
    rpm: int | None,
    tpm: int | None,
    concurrency: int | None,
    *,
    as_json: bool,
) -> None:
    """Make a key; it is printed once, alone on the last line.

    Example: officeai-proxy keys create --name laptop --scopes chat,read --expires 90d --rpm 60
    """
    now = utc_now()
    key, stored = make_key(
        name,
        now=now,
        workspace=workspace,
        scopes=scopes,
        user=user,
        expires_at=None if expires is None else now + expires,
        limits=Limits(rpm, tpm, concurrency),
    )

    async def add(database: Database) -> None:
        async with database.write() as connection:
            await ApiKeyRepository(connection).add(stored)
            await append(connection, _event(Action.CREATE_KEY, stored, now))
            _print_once(key, stored, now, as_json=as_json)

    with_database(load_settings(), add)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(*, as_json: bool) -> None:
    """List all keys, revoked ones too; never the keys themselves."""

    async def read(database: Database) -> list[ApiKey]:
        async with database.read() as connection:
            return await ApiKeyRepository(connection).all()

    keys, now = with_database(load_settings(), read), utc_now()
    if as_json:
        click.echo(json_line([key_line(key, now) for key in keys]))
        return
    for key in keys:
        scopes = ",".join(sorted(key.scopes))
        limits = "".join(f" {name}={most}" for name, most in _limits(key))
        user = "" if key.user is None else f" user={key.user}"
        end = "" if key.expires_at is None else f" ends={key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        click.echo(
            f"{key.id}  {key_state(key, now):8} {key.hint}  {key.workspace}  "
            f"{scopes}{user}{limits}{end}  {key.name}"
        )
    if not keys:
        click.echo("There are no keys yet. Make one with `officeai-proxy keys create --name …`.")


@command.command()
@click.argument("key_id")
@click.option(
    "--overlap",
    default="24h",
    type=OVERLAP,
    show_default=True,
    help="How long the old key goes on working; 0: not at all; at most 7d.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rotate(key_id: str, overlap: timedelta, *, as_json: bool) -> None:
    """Make a key with the rights of another one, which then ends.

    Example: officeai-proxy keys rotate key_0123456789abcdef --overlap 24h
    """
    now = utc_now()

    async def work(database: Database) -> None:
        async with database.write() as connection:
            keys = ApiKeyRepository(connection)
            old = await keys.find(key_id, lock=True)
            key, stored = rotated(old, now=now, expires_at=await keys.first_end(old))
            until = end_of_overlap(old, now=now, overlap=overlap)
            await keys.take_over(old, stored, now=now, until=until)
            event = _event(Action.ROTATE_KEY, old, now, detail={"successor": stored.id})
            await append(connection, event)
            _print_once(key, stored, now, as_json=as_json)

    with_database(load_settings(), work)


@command.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Make a key worthless, now and for good.

    Example: officeai-proxy keys revoke key_0123456789abcdef
    """
    now = utc_now()

    async def work(database: Database) -> bool:
        async with database.write() as connection:
            keys = ApiKeyRepository(connection)
            if not await keys.revoke(key_id, now=now):
                return False
            key = await keys.find(key_id)
            await append(connection, _event(Action.REVOKE_KEY, key, now))
            return True

    if not with_database(load_settings(), work):
        raise click.ClickException(
            f"There is no key {key_id} that is still in force; `keys list` has the id of each."
        )
    click.echo(f"{key_id} is revoked.")


def _print_once(key: str, stored: ApiKey, now: datetime, *, as_json: bool) -> None:
    """Show a key inside the transaction that makes it: what cannot be shown is not made."""
    if as_json:
        click.echo(json_line({**key_line(stored, now), "key": key}))
    else:
        click.echo(f"id {stored.id}")
        click.echo(key)


def _limits(key: ApiKey) -> list[tuple[str, int]]:
    limits = key.limits or Limits()
    named = {"rpm": limits.rpm, "tpm": limits.tpm, "concurrency": limits.concurrency}
    return [(name, most) for name, most in named.items() if most is not None]


def _event(action: Action, key: ApiKey, now: datetime, *, detail: Detail | None = None) -> Event:
    return Event(
        at=now,
        actor=COMMAND_LINE,
        action=action,
        workspace=key.workspace,
        user=key.user,
        target=key.id,
        detail=detail or {},
    )
