"""`officeai-proxy set-aside`: what to do with calls that could not be stored; needs no database."""

import base64

import click

from officeai_proxy.cli.standard import harmless, json_line
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.model import Exchange, iso_text, utc_from_ns
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import Journal, open_directory
from officeai_proxy.recording.journal_keys import check_keys
from officeai_proxy.recording.setaside import Aside, SetAsideFolder
from officeai_proxy.recording.turns import UNPACKED_LIMIT
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.wire.encoding import UndecodableBody, decoded

_SECONDS = 19
"""Characters of a moment in ISO 8601 up to its seconds."""


@click.group("set-aside")
def command() -> None:
    """See, retry and drop calls that could not be stored.

    A call that the database refuses for what is in it, or whose reply is compressed in a way that
    is not read here, is kept whole beside the journal, and the calls around it are stored. So are
    parts of the journal that are damaged. `/health` counts them all.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(*, as_json: bool) -> None:
    """List what is set aside: when, whose, and why.

    Example: officeai-proxy set-aside list
    """
    folder, _ = _opened()
    found = list(folder.all())
    if as_json:
        click.echo(json_line([_told(one) for one in found]))
        return
    for one in found:
        call = one.exchange
        whose = f"{call.workspace} {call.user or call.client_ip}" if call else "cannot be read"
        whose = "damage" if one.is_damage else whose
        reason = harmless(one.reason.replace("\n", " "))
        click.echo(f"{one.name}  {_moment(one.set_aside_ns)[:_SECONDS]}Z  {whose}  {reason}")
    if not found:
        click.echo("Nothing is set aside.")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, *, as_json: bool) -> None:
    """Show one call that is set aside, with all that was said; NAME is as `list` tells it.

    Example: officeai-proxy set-aside show 01890a5d-ac96-774b-bcce-b302099a8057
    """
    folder, _ = _opened()
    one = folder.one(name)
    told = {**_told(one), **_said(one.exchange)}
    if one.is_damage:
        told["content"] = folder.damaged_bytes(name).decode("utf-8", "backslashreplace")
    if as_json:
        click.echo(json_line(told))
        return
    for field, value in told.items():
        if value is not None:
            click.echo(harmless(f"{field}: {value}"))


@command.command("retry")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is set aside.")
def retry(names: tuple[str, ...], *, everything: bool) -> None:
    """Put calls into the journal again: `serve` stores them, or sets them aside once more.

    Example: officeai-proxy set-aside retry --all
    """
    folder, settings = _opened()
    wanted = _wanted(folder, names, everything=everything)
    seal = FrameSeal.of(MasterKeys.of(settings.encryption_secrets))
    count = 0
    for name in wanted:
        if everything and folder.one(name).is_damage:
            click.echo(f"{name} is damage, with no call in it to try again.", err=True)
            continue
        folder.retry(name, Journal(settings.journal_dir, durability=settings.durability, seal=seal))
        count += 1
    click.echo(f"{count} in the journal again; `serve` stores them within a second.")


@command.command("drop")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is set aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(names: tuple[str, ...], *, everything: bool, yes: bool) -> None:
    """Delete calls that are set aside for good; they are stored nowhere else.

    Example: officeai-proxy set-aside drop 01890a5d-ac96-774b-bcce-b302099a8057
    """
    folder, _ = _opened()
    wanted = _wanted(folder, names, everything=everything)
    if wanted and not yes:
        click.confirm(f"Delete {len(wanted)} for good?", abort=True)
    for name in wanted:
        folder.drop(name)
    click.echo(f"{len(wanted)} dropped.")


def _opened() -> tuple[SetAsideFolder, Settings]:
    settings = load_settings()
    open_directory(settings.journal_dir)
    keys = MasterKeys.of(settings.encryption_secrets)
    check_keys(settings.journal_dir, keys)
    return SetAsideFolder(settings.journal_dir, FrameSeal.of(keys)), settings


def _wanted(folder: SetAsideFolder, names: tuple[str, ...], *, everything: bool) -> list[str]:
    """The names that were given, all of which must be there, or all that there are."""
    if bool(names) == everything:
        raise click.UsageError("Give names as `set-aside list` tells them, or --all.")
    return [one.name for one in (folder.all() if everything else map(folder.one, names))]


def _told(one: Aside) -> dict[str, object]:
    call = one.exchange
    return {
        "name": one.name,
        "reason": one.reason,
        "set_aside_at": _moment(one.set_aside_ns),
        "bytes": one.size,
        "started_at": None if call is None else _moment(call.started_ns),
        "workspace": None if call is None else call.workspace,
        "user": None if call is None else call.user,
        "session": None if call is None else call.session,
        "path": None if call is None else call.path,
        "status": None if call is None else call.status,
        "outcome": None if call is None else call.outcome.value,
        "model": None if call is None else call.model_asked,
    }


def _said(call: Exchange | None) -> dict[str, object]:
    if call is None:
        return {"request": None, "reply": None}
    request, request_encoding = _text(call.request, call.request_encoding)
    reply, reply_encoding = _text(call.reply, call.content_encoding)
    return {
        "request": request,
        "request_encoding": request_encoding,
        "reply": reply,
        "reply_encoding": reply_encoding,
    }


def _text(body: bytes, encoding: str) -> tuple[str, str | None]:
    """*body* unpacked; or in base64, so that nothing of it is lost, and what has to be undone."""
    limit = max(len(body), UNPACKED_LIMIT)
    try:
        unpacked = decoded(body, encoding=encoding, limit=limit, partial=True, by_packages=True)
    except UndecodableBody:
        return base64.b64encode(body).decode(), f"{encoding}, base64"
    return unpacked.decode("utf-8", "replace"), None


def _moment(epoch_ns: int) -> str:
    return iso_text(utc_from_ns(epoch_ns), timespec="milliseconds")
