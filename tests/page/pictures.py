"""`scripts/screenshots`: every room of the page as pictures in a folder, to be looked at."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page
from tests.page.browsing import DESK, PHONE, Site, open_browser, open_site, somebody

Act = Callable[[Page], object]

LOOKS = [
    (size, theme, language)
    for size in (DESK, PHONE)
    for theme in ("light", "dark")
    for language in ("en", "zh-CN")
]


def rooms(site: Site) -> dict[str, tuple[str, Act | None]]:
    """What is shown: an address, and what somebody does there first."""
    chat = f"/ui/c/{site.ids['python']}"
    return {
        "list": ("/ui", None),
        "conversation": (chat, None),
        "conversation-top": (chat, _scroll_to_code),
        "branches": (f"/ui/c/{site.ids['branches']}", None),
        "failed": (f"/ui/c/{site.ids['failed']}", None),
        "long": (f"/ui/c/{site.ids['long']}", None),
        "search": ("/ui/search?q=Python", None),
        "bin": ("/ui?bin=1", None),
        "export": ("/ui/export", None),
        "import": ("/ui/import", None),
        "overview": ("/ui/overview", None),
        "calls": ("/ui/calls", None),
        "keys": ("/ui/keys", None),
        "audit": ("/ui/keys/audit", None),
        "help": ("/ui", lambda page: page.keyboard.press("?")),
    }


def take(browser: Browser, site: Site, folder: Path) -> None:
    """Save all pictures in *folder*."""
    for size, theme, language in LOOKS:
        look = f"{'phone' if size == PHONE else 'desk'}-{theme}-{language}"
        with somebody(browser, site, size=size, theme=theme, language=language) as person:
            for name, (path, act) in rooms(site).items():
                page = person.go(path)
                page.wait_for_load_state("networkidle")
                if act is not None:
                    act(page)
                page.wait_for_timeout(200)
                page.screenshot(path=folder / f"{name}-{look}.png")
        with somebody(
            browser, site, size=size, theme=theme, language=language, is_signed_in=False
        ) as person:
            person.go("/ui").screenshot(path=folder / f"door-{look}.png")


def _scroll_to_code(page: Page) -> None:
    page.locator(".code").first.scroll_into_view_if_needed()


def main(folder: Path) -> None:
    """Tell the stories, open the browser, take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        open_site(Path(place), long=400, is_hostile=False) as site,
        open_browser() as browser,
    ):
        take(browser, site, folder)
    sys.stdout.write(f"{len(list(folder.glob('*.png')))} pictures are in {folder}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
