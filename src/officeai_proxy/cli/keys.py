"""`officeai-proxy keys`: make, list and revoke keys, also while the proxy runs."""

import json
from datetime import UTC, datetime, timedelta

import click

from officeai_proxy.cli.opening import make_key, with_database
from officeai_proxy.cli.parameters import Expiry, Name, Scopes
from officeai_proxy.model import DEFAULT_WORKSPACE, ApiKey, Scope
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database


@click.group("keys")
def command() -> None:
    """Make, list and revoke keys; a running proxy knows within 5 seconds."""


@command.command()
@click.option("--name", required=True, type=Name(), help="What the key is for.")
@click.option("--workspace", default=DEFAULT_WORKSPACE, type=Name(), show_default=True)
@click.option(
    "--scopes",
    default=",".join(Scope),
    type=Scopes(),
    show_default=True,
    help="What the key may do, comma separated.",
)
@click.option("--user", type=Name(), help="Bind the key to one user_identifier.")
@click.option("--expires", type=Expiry(), help="When it ends: 90d, 12h, 30m.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def create(
    name: str,
    workspace: str,
    scopes: frozenset[Scope],
    user: str | None,
    expires: timedelta | None,
    *,
    as_json: bool,
) -> None:
    """Make a key; it is printed once, alone on the last line.

    Example: officeai-proxy keys create --name laptop --scopes chat,read --expires 90d
    """
    now = datetime.now(UTC)
    key, stored = make_key(
        name,
        now=now,
        workspace=workspace,
        scopes=scopes,
        user=user,
        expires_at=None if expires is None else now + expires,
    )

    async def add(database: Database) -> None:
        async with database.write() as connection:
            await ApiKeyRepository(connection).add(stored)

    with_database(load_settings(), add)
    if as_json:
        click.echo(json.dumps({**_told(stored), "key": key}, ensure_ascii=False))
    else:
        click.echo(f"id {stored.id}")
        click.echo(key)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(*, as_json: bool) -> None:
    """List all keys, revoked ones too; never the keys themselves."""

    async def read(database: Database) -> list[ApiKey]:
        async with database.read() as connection:
            return await ApiKeyRepository(connection).all()

    keys = with_database(load_settings(), read)
    if as_json:
        click.echo(json.dumps([_told(key) for key in keys], ensure_ascii=False))
        return
    for key in keys:
        scopes = ",".join(sorted(key.scopes))
        click.echo(f"{key.id}  {_state(key):8} {key.hint}  {key.workspace}  {scopes}  {key.name}")
    if not keys:
        click.echo("There are no keys yet. Make one with `officeai-proxy keys create --name …`.")


@command.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Make a key worthless, now and for good.

    Example: officeai-proxy keys revoke key_0123456789abcdef
    """

    async def work(database: Database) -> bool:
        async with database.write() as connection:
            return await ApiKeyRepository(connection).revoke(key_id, now=datetime.now(UTC))

    if not with_database(load_settings(), work):
        raise click.ClickException(f"There is no key {key_id} that is still in force.")
    click.echo(f"{key_id} is revoked.")


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "active" if key.is_active(datetime.now(UTC)) else "expired"


def _told(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "workspace": key.workspace,
        "scopes": sorted(key.scopes),
        "user_identifier": key.user,
        "state": _state(key),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
