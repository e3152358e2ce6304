"""Questions about health, and what answers them."""

from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from officeai_proxy.health.pulse import Health, Pulse
from officeai_proxy.health.routes import router


class FakeJournal:
    """A journal that takes everything."""

    is_keeping = True
    is_syncing = True
    dropped = 0
    backlog_bytes = 0
    append_errors = 0
    sync_errors = 0
    piece_errors = 0


class FakeDatabase:
    """A database that answers."""

    async def ping(self) -> None:
        """Answer."""


def a_pulse(directory: Path, *, is_stopping: bool = False) -> Pulse:
    return Pulse(
        journal_dir=directory,
        journal=FakeJournal(),
        database=FakeDatabase(),
        dialect="sqlite",
        upstream="http://u",
        is_recording=lambda: True,
        is_stopping=is_stopping,
    )


async def asked(path: str, pulse: Pulse) -> httpx.Response:
    app = FastAPI()
    app.state.services = SimpleNamespace(pulse=pulse)
    app.include_router(router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


async def test_not_ready_at_the_end(tmp_path: Path) -> None:
    """A program that ends gets no more calls."""
    answer = await asked("/health/ready", a_pulse(tmp_path, is_stopping=True))

    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_all_is_well(tmp_path: Path, path: str) -> None:
    """One word for a probe."""
    answer = await asked(path, a_pulse(tmp_path))

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["content-type"] == "application/json"


async def test_health_tells_people_everything(tmp_path: Path) -> None:
    """The answer is what `/docs` describes."""
    answer = await asked("/health", a_pulse(tmp_path))

    assert answer.status_code == 200
    assert Health.model_validate(answer.json()).status == "ok"
