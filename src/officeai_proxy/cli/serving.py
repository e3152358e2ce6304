"""Settings in, a program that serves out: makes the first key, and says what is where."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from officeai_proxy import __version__
from officeai_proxy.auth.remembered import RememberedKeys
from officeai_proxy.cli.folders import prove_folders
from officeai_proxy.cli.opening import first_key, upgrade_apart, with_database
from officeai_proxy.cli.standard import can_print, give_up_output
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.model import utc_now
from officeai_proxy.page.visits import invite
from officeai_proxy.prices.book import PriceBook
from officeai_proxy.proxy.upstream import upstream_of
from officeai_proxy.recording.destination import Destination
from officeai_proxy.recording.journal import open_directory
from officeai_proxy.recording.journal_keys import check_keys
from officeai_proxy.server import bind, configure_logging, run
from officeai_proxy.settings import OPENAI_BASE_URL, Settings, strange_names
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.engine.address import read_address

log = logging.getLogger(__name__)


_NO_CHAT = re.compile(
    r"whisper|transcri|tts|embed|\bbge\b|rerank|moderation|dall-e|image|sora|diffusion|flux",
    re.IGNORECASE,
)
"""What is in the names of models that do not chat."""


def serve(settings: Settings, *, upstream_note: str = "") -> None:
    """Serve with *settings* until a signal; never returns."""
    configure_logging(settings)
    for fault in strange_names():
        click.echo(f"officeai-proxy: {fault}", err=True)
    open_directory(settings.journal_dir)
    check_keys(settings.journal_dir, MasterKeys.of(settings.encryption_secrets))
    # Held until this process ends; each worker holds its own.
    Destination(settings.journal_dir, read_address(settings.database).identity)
    prove_folders(settings)
    PriceBook.open(settings.prices)
    proxy = upstream_of(settings).address.proxy
    if proxy:
        upstream_note = f"through the forward proxy {proxy}"
    with bind(settings) as listener:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        keys, place = _open_database(settings)
        lines = banner(settings, keys=keys, database_note=place, upstream_note=upstream_note)
        sys.exit(run(settings, listener, on_ready=lambda: _tell(lines)))


def _tell(lines: str) -> None:
    """Print the banner; that nobody can read it is no reason to stop serving."""
    try:
        click.echo(lines)
    except OSError as exc:
        give_up_output()
        log.warning(
            "what is where cannot be printed: %s. If a first key was made just now, nobody has "
            "seen it: revoke it and make another with `officeai-proxy keys`",
            exc.strerror,
        )


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key of a first start, and what signs its holder in to the page once."""

    key: str
    once: str


MADE_EARLIER = "made earlier; `officeai-proxy keys create` makes another"
FROM_LAST_RUN = "made earlier, as this host knew them last; new ones once the database is back"
NOT_KNOWN = "none is known while the database is away, none could be made: set OFFICEAI_API_KEYS"


def _open_database(settings: Settings) -> tuple[FirstKey | str, str]:
    """Bring the database up to date and make the first key; neither stops a start without it."""
    configured = bool(settings.api_keys)
    is_seen = can_print()
    if not configured and not is_seen:
        log.warning("standard output is closed: no first key is made, for nobody would see it")
    wanted = Database(settings.database)
    location = wanted.location

    async def prepared(database: Database) -> FirstKey | str:
        now = utc_now()
        key = None if configured or not is_seen else await first_key(database, now=now)
        if key is None:
            return MADE_EARLIER
        return FirstKey(key, await invite(database, key, now=now))

    try:
        upgrade_apart(settings)
        return with_database(settings, prepared, may_be_new=True), location
    except DatabaseUnavailable as exc:
        log.warning("the database %s is away: %s", location, exc)
        note = f"{location} (away right now; calls are kept in the journal until it is back)"
        is_known = RememberedKeys(settings.data_dir, wanted.identity).read() is not None
        return FROM_LAST_RUN if is_known else NOT_KNOWN, note


def banner(
    settings: Settings, *, keys: FirstKey | str, database_note: str, upstream_note: str = ""
) -> str:
    """What a newcomer needs to see: where to point a client, with which key, and what is kept.

    *keys* is the key of a first start, or what to say of the keys that there are.
    """
    first = keys if isinstance(keys, FirstKey) else None
    root = settings.base_url.removesuffix("/v1")
    upstream = settings.upstream_base_url + (f" ({upstream_note})" if upstream_note else "")
    if settings.upstream_api_key is None and settings.upstream_base_url == OPENAI_BASE_URL:
        upstream += " (no key: set OPENAI_API_KEY or OFFICEAI_UPSTREAM_API_KEY)"
    lines = [
        f"officeai-proxy {__version__} is ready",
        f"  base_url   {settings.base_url}",
        f"  page       {root}/ui" + ("" if first is None else f"/enter?once={first.once}"),
        f"  docs       {root}/docs",
        f"  upstream   {upstream}",
        f"  database   {database_note}",
        f"  data       {settings.data_dir.resolve()}",
    ]
    if first is not None:
        lines.insert(3, "             (signs in once, within 15 minutes; later with the key)")
        lines.append(f"  key        {first.key}")
        lines.append("             (made just now and shown only this once; keep it)")
        lines += ["  try", *(f"    {line}" for line in _first_call(settings, key=first.key))]
    elif settings.api_keys:
        lines.append(f"  key        {len(settings.api_keys)} in OFFICEAI_API_KEYS")
    else:
        lines.append(f"  key        {keys}")
    return "\n".join(lines)


def _first_call(settings: Settings, *, key: str) -> list[str]:
    """Two commands to copy: a call, and the conversation that it left behind."""
    root = settings.base_url.removesuffix("/v1")
    model = json.dumps(_chat_model(settings.model_aliases))
    body = f'{{"model": {model}, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return [
        f"KEY={key}",
        f'curl {settings.base_url}/chat/completions -H "Authorization: Bearer $KEY" \\',
        "  -H 'Content-Type: application/json' -H 'X-Session-ID: demo-session' \\",
        f"  -d '{body}'",
        f'curl {root}/conversations/demo-session -H "Authorization: Bearer $KEY"',
    ]


def _chat_model(aliases: Mapping[str, str]) -> str:
    """The alias of a model that can probably chat, else a model of OpenAI's.

    The example must not end in an error, as a chat with a model for speech would.
    """
    chatting = (name for name, model in aliases.items() if not _NO_CHAT.search(model))
    return next(chatting, "gpt-4o-mini")
