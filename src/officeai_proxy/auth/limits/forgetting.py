"""Lets go of the accounts of keys that are gone, again and again; decides about no call.

A worker has a file open for each key with limits that called it. Where keys are made and rotated by
programs, those of dead keys would add up until nothing could be opened any more.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from officeai_proxy.auth.limits.ledger import Ledger

INTERVAL = 600.0
"""Seconds between two looks: each lists the files of all keys of the last day."""

log = logging.getLogger(__name__)


async def forget_dead(
    ledger: Ledger, accounts: Callable[[], Collection[str] | None], *, interval: float = INTERVAL
) -> None:
    """Have *ledger* keep only what *accounts* gives, if that is known; runs until cancelled."""
    while True:
        living = accounts()
        if living is not None:
            try:
                ledger.forget_all_but(living)
            except OSError as exc:
                # When nothing more can be opened the folder cannot be listed: no reason to end.
                log.warning("what is left of dead keys cannot be looked at: %s", exc)
        await asyncio.sleep(interval)
