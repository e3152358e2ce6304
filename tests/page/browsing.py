"""A real browser before the real program: people who use the page, and what must not happen."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.databases import run_apart
from tests.page import stories
from tests.proxies import KEY, PLAIN, CopiedProxy, RunningProxy
from tests.upstream import ScriptedUpstream

from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# How long something may take to be seen where several browsers share two cores, in milliseconds.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

DESK = (1280, 800)
PHONE = (390, 844)


@dataclass
class Site:
    """The running program, full of stories; their ids by a short name."""

    proxy: RunningProxy
    ids: dict[str, int]

    @property
    def root(self) -> str:
        """Where it is."""
        return self.proxy.root

    def cookie(self) -> Any:
        """A session of the page, for a browser that need not go through the door."""
        with httpx.Client(base_url=self.root, timeout=60, trust_env=False, verify=PLAIN) as client:
            answer = client.post(
                "/ui/enter", data={"key": KEY}, headers={"Sec-Fetch-Site": "same-origin"}
            )
        value = answer.cookies["officeai_page"]
        return {"name": "officeai_page", "value": value, "domain": "127.0.0.1", "path": "/ui"}


@dataclass
class Person:
    """Somebody at a browser, and everything that must never happen to them."""

    site: Site
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note dialogs, errors, broken policies and requests to other hosts."""
        page = self.page
        page.on(
            "dialog",
            lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()),
        )
        page.on("pageerror", lambda error: self.faults.append(f"error {error}"))
        page.on("request", lambda request: self._request(request.url))
        page.on("console", lambda message: self._console(message.text))

    def _request(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https") and not url.startswith(self.site.root):
            self.faults.append(f"request {url}")

    def _console(self, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text:
            self.faults.append(text)

    def sees_fault(self, words: str) -> None:
        """Wait for a fault that has to be; the browser tells of it a moment later."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not any(words in fault for fault in self.faults):
            assert time.monotonic() < deadline, self.faults
            self.page.wait_for_timeout(20)

    def go(self, path: str) -> Page:
        """Open *path*."""
        self.page.goto(self.site.root + path)
        return self.page


def chromium() -> str:
    """The browser of this machine; skips the test, or fails it in CI, without one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no browser is installed (Debian: apt install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser without a screen."""
    program = chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=list(FLAGS), timeout=2 * PATIENCE
        )
        yield browser
        browser.close()


@contextmanager
def open_site(
    folder: Path, *, long: int = stories.LONG, many: int = 0, is_hostile: bool = True
) -> Iterator[Site]:
    """The program with all stories told, and *many* conversations more."""
    url = f"sqlite:///{folder}/data/officeai.db"

    async def fill() -> dict[str, int]:
        (folder / "data").mkdir(parents=True)
        database = Database(url)
        await prepare(database)
        now = datetime.now(UTC)
        ids = await stories.tell_stories(database, now, long=long, is_hostile=is_hostile)
        await stories.tell_calls(database, now)
        if many:
            await stories.tell_many(database, many, now - 7 * stories.DAY)
        await database.close()
        return ids

    ids = run_apart(fill())
    with ScriptedUpstream() as upstream:
        upstream.script = stories.script
        settings = {"UPSTREAM_BASE_URL": upstream.base_url, "DATABASE_URL": url}
        with CopiedProxy(folder, settings) as proxy:
            stories.call_for_real(proxy)
            for name in ("branches", "failed", "left"):
                ids[name] = _number(proxy, name)
            yield Site(proxy, ids)


def _number(proxy: RunningProxy, session: str, *, patience: float = 60.0) -> int:
    """The id of a conversation; a call that its client left ends a moment later."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        answer = proxy.get(f"/conversations/{session}")
        if answer.status_code == 200:
            return int(answer.json()["id"])
        time.sleep(0.02)
    raise AssertionError(f"{session} was not recorded")


@contextmanager
def somebody(
    browser: Browser,
    site: Site,
    *,
    size: tuple[int, int] = DESK,
    theme: str = "light",
    language: str = "en-US",
    is_signed_in: bool = True,
    has_script: bool = True,
) -> Iterator[Person]:
    """A person at a browser of their own; it is an error when anything bad happened to them."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme="dark" if theme == "dark" else "light",
        timezone_id="Asia/Shanghai",
        java_script_enabled=has_script,
        accept_downloads=True,
        has_touch=size == PHONE,
    )
    context.set_default_timeout(PATIENCE)
    person = Person(site, context, context.new_page())
    person.watch()
    try:
        if is_signed_in:
            context.add_cookies([site.cookie()])
        yield person
    finally:
        context.close()
    assert person.faults == []
