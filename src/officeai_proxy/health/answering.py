"""A database that may say nothing at all in, a yes or no in time out; changes nothing.

A server that hangs takes connections and never answers. Whoever asks how the proxy is would wait
with it, and most probes take that for the proxy's own death.
"""

import asyncio
from typing import Protocol

from officeai_proxy.errors import DatabaseUnavailable

PATIENCE_SECONDS = 3.0


class Pingable(Protocol):
    """A database that can say whether it answers."""

    async def ping(self) -> None:
        """Raise `Unavailable` when it does not."""


class Answering:
    """Asks a database whether it answers, and takes silence for a no.

    All who ask at one time share one question: it takes one connection, however many they are.
    """

    def __init__(self, database: Pingable, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait *seconds* for the answer of *database*."""
        self._database = database
        self._seconds = seconds
        self._question: asyncio.Task[None] | None = None

    async def ping(self) -> None:
        """Ask whether it answers.

        Raises:
            Unavailable: it does not, or not in time. The question goes on then.
        """
        question = self._question
        if question is None or question.done():
            question = self._question = asyncio.ensure_future(self._ask())
            question.add_done_callback(_hear)
        await asyncio.wait({question}, timeout=self._seconds)
        if not question.done():
            raise DatabaseUnavailable(said="no answer in time")
        question.result()

    async def _ask(self) -> None:
        await self._database.ping()


def _hear(question: "asyncio.Task[None]") -> None:
    """Take the answer, which maybe nobody waits for any more; asyncio would complain of that."""
    if not question.cancelled():
        question.exception()
