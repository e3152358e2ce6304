"""A database that says nothing is told as one that does not answer, in time."""

import asyncio
from dataclasses import dataclass, field

import pytest

from officeai_proxy.errors import DatabaseDamaged, DatabaseUnavailable
from officeai_proxy.health.answering import Answering


@dataclass
class HangingDatabase:
    """Takes every question, and answers once it is let."""

    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    fault: Exception | None = None

    async def ping(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault


async def test_silence_is_a_no_and_is_asked_for_once() -> None:
    """Nobody waits longer than was said, and ten probes do not take ten connections."""
    database = HangingDatabase()
    answering = Answering(database, seconds=0.01)

    async with asyncio.timeout(60):
        for _ in range(2):
            answers = await asyncio.gather(
                *(answering.ping() for _ in range(5)), return_exceptions=True
            )
            assert {type(answer) for answer in answers} == {DatabaseUnavailable}
    assert database.asked == 1

    database.answers.set()
    await answering.ping()


async def test_what_it_says_is_told() -> None:
    """A fault that the database tells is not called silence."""
    database = HangingDatabase(fault=DatabaseDamaged())
    database.answers.set()

    with pytest.raises(DatabaseDamaged):
        await Answering(database).ping()
