"""`officeai-proxy users`: erase one person for good, also while the proxy runs."""

import click

from officeai_proxy.cli.opening import trail_of, with_database
from officeai_proxy.cli.parameters import Name, workspace_option
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.erasure import Eraser, Erasure
from officeai_proxy.model import counted
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.setaside import SetAsideFolder
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.audit.chain import Action
from officeai_proxy.storage.database import Database


@click.group("users")
def command() -> None:
    """Erase people."""


@command.command()
@click.argument("user", type=Name())
@workspace_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(user: str, workspace: str, *, yes: bool) -> None:
    """Delete everything of one user for good.

    Example: officeai-proxy users erase alice --yes
    """
    settings = load_settings()
    if not yes:
        click.confirm(f"Delete everything of {user!r} in {workspace!r} for good?", abort=True)

    async def work(database: Database) -> Erasure:
        trail = trail_of(database, Action.ERASE_USER, workspace)
        seal = FrameSeal.of(MasterKeys.of(settings.encryption_secrets))
        folder = SetAsideFolder(settings.journal_dir, seal)
        eraser = Eraser(database, trail.caller, set_aside=folder, clock=trail.clock)
        return await eraser.run(user, trail)

    erased = with_database(settings, work)
    click.echo(
        f"Erased {counted(erased.conversations, 'conversation')} with "
        f"{counted(erased.messages, 'message')}, {counted(erased.calls, 'other call')}, "
        f"{erased.set_aside:,} set aside."
    )
