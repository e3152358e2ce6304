"""What goes on beside the calls fails for itself: calls are served whatever happens to it."""

import asyncio
import inspect
import logging
from pathlib import Path

import httpx
import pytest
from tests.proxies import KEY
from tests.upstream import ScriptedUpstream

from officeai_proxy import app
from officeai_proxy.chores import Tasks, begun_anew
from officeai_proxy.settings import load_settings

PATIENCE = 60.0


async def test_a_task_that_fails_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """The log has why, and the block goes on to its end."""

    async def fail() -> str:
        raise RuntimeError("nobody foresaw this")

    async def succeed() -> str:
        return "done"

    async with Tasks() as tasks:
        failed = tasks.create_task(fail())
        await asyncio.wait({failed}, timeout=PATIENCE)
        succeeded = tasks.create_task(succeed())

    assert (failed.result(), succeeded.result()) == (None, "done")
    assert "nobody foresaw this" in caplog.text


async def test_a_task_that_is_given_up_before_it_began_is_closed() -> None:
    """Python would put into the log that it was never awaited."""
    work = asyncio.sleep(PATIENCE)
    async with Tasks() as tasks:
        tasks.create_task(work).cancel()

    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_a_chore_is_begun_anew_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that stays would fill the log; another one is told as well."""
    faults = [OSError(5, "no disk"), OSError(5, "no disk"), OSError(24, "no files")]

    async def chore() -> None:
        if faults:
            raise faults.pop(0)

    async with asyncio.timeout(PATIENCE):
        await begun_anew(chore, what="the chore", anew_after=0)

    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info[1]) for record in told if record.exc_info] == [
        "[Errno 5] no disk",
        "[Errno 24] no files",
    ]


async def test_calls_are_served_although_a_chore_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of one ended all of serving: each call got a 404, and the process lived on."""
    has_failed = asyncio.Event()

    async def fail(*_: object) -> None:
        has_failed.set()
        raise OSError(5, "no disk")

    monkeypatch.setattr(app, "_tidy", fail)
    with ScriptedUpstream() as upstream:
        settings = load_settings(
            upstream_base_url=upstream.base_url, data_dir=tmp_path, api_keys=KEY, _env_file=None
        )
        application = app.create_app(settings)
        routes = application.routes
        async with (
            routes.router.lifespan_context(routes),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(application), base_url="http://test"
            ) as client,
        ):
            await asyncio.wait_for(has_failed.wait(), PATIENCE)
            await asyncio.sleep(0)
            headers = {"Authorization": f"Bearer {KEY}"}
            answer = await client.get("/v1/models", headers=headers)

    assert answer.status_code == 200, answer.text
