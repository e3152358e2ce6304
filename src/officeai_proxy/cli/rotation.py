"""`officeai-proxy db rotate`: all that is stored, encrypted with the first of the keys."""

from collections.abc import Callable

import click

from officeai_proxy.cli.opening import with_database
from officeai_proxy.cli.standard import now_and_then
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import counted
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal import open_directory
from officeai_proxy.recording.journal_keys import check_keys, note_keys, waiting_keys
from officeai_proxy.recording.setaside import SetAsideFolder
from officeai_proxy.settings import Settings, load_settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.sealing.rotation import retire, seal_all
from officeai_proxy.storage.search.upkeep import purge


def _counted() -> Callable[[int], None]:
    """A function to tell of some more rows; now and then it prints how many there were so far."""
    rows = 0
    tell = now_and_then("{:,} rows encrypted so far".format)

    def told(more: int) -> None:
        nonlocal rows
        rows += more
        tell(rows)

    return told


@click.command("rotate")
def rotate() -> None:
    """Encrypt all that is stored with the first key of OFFICEAI_ENCRYPTION_KEYS.

    Run it after encryption was turned on, and after a new key was put first; also while the proxy
    runs. It goes on where it was stopped, and says when an old key can be dropped.

    Example: officeai-proxy db rotate
    """
    settings = load_settings()
    keys = MasterKeys.of(settings.encryption_secrets)
    if keys is None:
        raise ConfigurationError(
            "OFFICEAI_ENCRYPTION_KEYS: there is no key to encrypt with; set it, for example to "
            "k1: and 32 bytes in base64 (`openssl rand -base64 32`)"
        )
    open_directory(settings.journal_dir)
    check_keys(settings.journal_dir, keys)
    for line in with_database(settings, lambda database: _rotate(database, settings, keys)):
        click.echo(line)


async def _rotate(database: Database, settings: Settings, keys: MasterKeys) -> list[str]:
    journal = settings.journal_dir
    rows = await seal_all(database, told=_counted())
    note_keys(journal, keys)
    files = SetAsideFolder(journal, FrameSeal(keys)).reseal()
    while not await purge(database):
        continue
    done = f"Encrypted {counted(rows, 'row')} and {counted(files, 'file')} of calls set aside."
    if waiting_keys(journal) - {keys.first}:
        return [
            done,
            f"Calls from before still wait in {journal}: keep all keys, let `serve` store those "
            "calls, then run this again.",
        ]
    gone = await retire(database)
    lines = [done, f"All that is stored is encrypted with the key {keys.first!r}."]
    if gone:
        names = ", ".join(map(repr, gone))
        lines.append(
            f"{names} can be dropped from OFFICEAI_ENCRYPTION_KEYS now; on other hosts, once "
            "their journals are empty."
        )
    return lines
