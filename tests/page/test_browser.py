"""The page in a real browser: used as people use it, attacked as people attack it."""

import base64
import http.server
import io
import json
import re
import threading
import time
import wave
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.page import stories
from tests.page.browsing import (
    DESK,
    PATIENCE,
    PHONE,
    Person,
    Site,
    open_browser,
    open_site,
    somebody,
)
from tests.proxies import KEY
from tests.timing import soon

DROP = """text => {
  const data = new DataTransfer();
  data.items.add(new File([text], "chat.md"));
  const event = { dataTransfer: data, bubbles: true, cancelable: true };
  for (const kind of ["dragover", "drop"]) {
    const is = new DragEvent(kind, event);
    document.querySelector(".top").dispatchEvent(is);
    if (!is.defaultPrevented) throw new Error(`the browser does what it likes with ${kind}`);
  }
}"""
"""Drops a file with this text at the top of the page."""

GAPS = """one => {
  const range = document.createRange();
  range.selectNodeContents(one);
  const text = range.getBoundingClientRect(), place = one.getBoundingClientRect();
  return { left: text.left - place.left, right: place.right - text.right };
}"""
"""How far the text of an element is from its sides."""

LINES = """one => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return range.getClientRects().length;
}"""
"""How many lines the words of an element have."""

AXE = Path(__file__).parent / "vendor" / "axe.min.js"

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]

Somebody = Callable[..., AbstractContextManager[Person]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The program with everything in it that can be read."""
    with open_site(tmp_path_factory.mktemp("site"), many=300) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this module."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def person(browser: Browser, site: Site) -> Iterator[Person]:
    """Somebody at a desk who is signed in and reads English."""
    with somebody(browser, site) as one:
        yield one


def copied(page: Page, text: str) -> None:
    """Wait until what begins with *text* is in the clipboard."""
    begins = "async text => (await navigator.clipboard.readText()).startsWith(text)"
    page.wait_for_function(begins, arg=text)


def scroll_up(page: Page) -> None:
    """Scroll a conversation to its top."""
    page.evaluate("document.querySelector('#scroll').scrollTop = 0")


def test_calls_fit_a_screen(person: Person) -> None:
    """The last column of the log is what they cost, and is not beyond the edge of a desk."""
    page = person.go("/ui/calls")
    table = page.locator("main .wide")
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_whoever_has_magnified_the_page_gets_around(browser: Browser, site: Site) -> None:
    """With a pointer and a keyboard and little room: names are not broken, links are not too small,
    and to skip what is around the list leads to the list.
    """
    with somebody(browser, site, size=(640, 400)) as person:
        page = person.go("/ui/keys")
        page.get_by_label("Name").fill("magnified")
        page.get_by_role("button", name="Make the key").click()
        row = page.locator("tbody tr", has_text="magnified")
        assert row.get_by_text("anybody").evaluate(LINES) == 1
        assert row.get_by_text("Rotate").evaluate("one => one.offsetHeight") >= 24
        page = person.go("/ui")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator("#list :focus")).to_be_visible()


def test_fingers_and_small_phones(browser: Browser, site: Site) -> None:
    """What is pressed is 44 px high, words are whole, and a sheet begins at its beginning."""
    with somebody(browser, site, size=PHONE) as person:
        page = person.go(f"/ui/c/{site.ids['report']}")
        box = page.get_by_label("Rename").bounding_box()
        assert box
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for away in (-21, 21):
            page.mouse.click(middle[0], middle[1] + away)
            expect(page.locator("#sheet")).to_be_visible()
            page.keyboard.press("Escape")
        person.go("/ui?user=li.wei#side").get_by_text("Clear this user’s history").click()
        cancel = page.locator("#sheet").get_by_text("Cancel")
        assert cancel.evaluate(LINES) == 1
        page.set_viewport_size({"width": 320, "height": 568})
        heading = person.go("/ui/export").get_by_role("heading", level=1)
        expect(heading).to_be_in_viewport(ratio=1)
        person.go("/ui/overview")
        assert page.locator(".spans").evaluate("one => one.offsetHeight") < 50


def test_the_colours_of_the_reader(person: Person) -> None:
    """Where they take the place of ours, what is open and which line is which is still seen."""
    page = person.go(f"/ui/c/{person.site.ids['report']}")
    page.emulate_media(forced_colors="active")
    border = "one => getComputedStyle(one).borderTopStyle"
    assert page.locator("#rows [aria-current]").evaluate(border) == "solid"
    person.go("/ui/overview")
    ground = "one => getComputedStyle(one, '::before').backgroundColor"
    grounds = (
        page.locator(".chart").first.locator(".legend").evaluate_all(f"all => all.map({ground})")
    )
    assert len(set(grounds)) == 2


def test_what_has_the_focus_is_seen(person: Person) -> None:
    """It is not behind what stays in view while the rest is scrolled."""
    page = person.go("/ui")
    page.locator(".people-list a").first.focus()
    for _ in range(30):
        page.keyboard.press("Tab")
    foot = page.locator(".side-foot").bounding_box()
    box = page.locator(":focus").bounding_box()
    assert box
    assert foot
    assert box["y"] + box["height"] <= foot["y"]
    for key in ["j"] * 30 + ["k"] * 29:
        page.keyboard.press(key)
    day = page.locator(".day").first.bounding_box()
    box = page.locator("#rows a.row").first.bounding_box()
    assert box
    assert day
    assert box["y"] >= day["y"] + day["height"]


def test_the_door_by_keyboard(browser: Browser, site: Site) -> None:
    """Somebody without a mouse signs in, is told of a wrong key, and gets where they wanted to."""
    with somebody(browser, site, is_signed_in=False) as person:
        page = person.go(f"/ui/c/{site.ids['report']}")
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.type("sk-wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("opens nothing here")
        page.locator("#key").focus()
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#chat-title")).to_contain_text("Quarterly report")


def test_the_list_by_keyboard(person: Person) -> None:
    """With j and k through the list, Enter opens, / searches, ? explains, Escape leaves."""
    page = person.go("/ui")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#rows a.row").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#chat-title")).to_have_text("Write a very long story")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#sheet")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("Kyoto")
    page.keyboard.press("Enter")
    expect(page.locator("mark").first).to_have_text("Kyoto")


def test_scrolling_the_list(person: Person) -> None:
    """Whoever scrolls sees more and more, up to the oldest conversation."""
    page = person.go("/ui")
    rows = page.locator("#rows a.row")
    before = rows.count()
    assert before < 100
    page.locator("#list").hover()
    while page.locator("#rows .more").count():
        page.mouse.wheel(0, 4000)
    assert rows.count() > 300


def test_a_long_conversation(person: Person) -> None:
    """Ten thousand messages open at the newest, at once, and go on upwards without a jump."""
    page = person.go("/ui")

    def seconds_to_open() -> float:
        begun = time.monotonic()
        person.go(f"/ui/c/{person.site.ids['long']}")
        expect(page.locator(".said").last).to_contain_text("step 10000")
        return time.monotonic() - begun

    soon(seconds_to_open, within=2.0)  # Usually it is a fifth.
    assert page.locator(".said").count() <= 100
    expect(page.locator(".said").last).to_be_in_viewport()
    first = page.locator(".said").first.get_attribute("id")
    scroll_up(page)
    expect(page.locator(".said").first).not_to_have_id(first or "")
    expect(page.locator(f"#{first}")).to_be_attached()


def test_links_within_the_page_load_nothing(browser: Browser, site: Site) -> None:
    """To the filters and back, or past them, and whoever reads is still where they were."""
    with somebody(browser, site, size=(1024, 768)) as person:
        page = person.go(f"/ui/c/{site.ids['long']}")
        page.wait_for_load_state("networkidle")
        scroll_up(page)
        expect(page.locator(".said")).to_have_count(80)
        place = page.evaluate("document.querySelector('#scroll').scrollTop")
        steps, asked = page.evaluate("history.length"), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("link", name="Filter").click()
        page.locator(".side-close").click()
        page.get_by_text("Skip to the content").focus()
        page.keyboard.press("Enter")
        page.go_back()
        expect(page).to_have_url(re.compile("#list$"))
        assert [url for url in asked if "/static/" not in url and "after=" not in url] == []
        assert page.evaluate("document.querySelector('#scroll').scrollTop") == place
        assert page.evaluate("history.length") == steps + 3


def test_back_on_a_phone(browser: Browser, site: Site) -> None:
    """Back from a conversation, by our button or the browser's, the list is where it was."""
    with somebody(browser, site, size=PHONE) as person:
        page = person.go("/ui")
        page.get_by_text("Plan a trip to Kyoto").scroll_into_view_if_needed()
        page.get_by_text("Plan a trip to Kyoto").click()
        expect(page.locator("#rows")).to_be_hidden()
        page.get_by_label("Back to the list").click()
        expect(page.get_by_text("Plan a trip to Kyoto").first).to_be_in_viewport()
        expect(page).to_have_title("Conversations · officeai-proxy")
        expect(page.locator("#rows [aria-current]")).to_be_focused()
        page.get_by_text("Plan a trip to Kyoto").first.click()
        expect(page.locator("#chat-title")).to_be_visible()
        expect(page.locator("#main")).to_be_focused()
        page.go_back()
        expect(page.get_by_text("Plan a trip to Kyoto").first).to_be_in_viewport()


def test_branches(person: Person) -> None:
    """The branches of a conversation can be switched, and each has an address of its own."""
    page = person.go(f"/ui/c/{person.site.ids['branches']}")
    expect(page.locator(".turns")).to_contain_text("3 / 3")
    page.get_by_label("Previous branch").press("Enter")
    expect(page.locator(".turns")).to_contain_text("2 / 3")
    expect(page.locator(".by-user").last).to_contain_text("colder")
    expect(page.get_by_label("Previous branch")).to_be_focused()
    page.reload()
    expect(page.locator(".turns")).to_contain_text("2 / 3")
    page.get_by_text("Show the newest").click()
    expect(page.locator(".by-user").last).to_contain_text("sea")
    page.go_back()
    expect(page.locator(".by-user").last).to_contain_text("colder")


def test_a_message_has_an_address(person: Person) -> None:
    """Its time leads to it, and whoever is given that address finds it marked."""
    page = person.go(f"/ui/c/{person.site.ids['report']}")
    first = page.locator(".said").first
    first.locator("time").click()
    expect(page.locator(".said[data-found]")).to_contain_text("where do I begin?")
    page.reload()
    expect(page.locator(".said[data-found]")).to_contain_text("where do I begin?")


def test_honest_marks(person: Person) -> None:
    """What failed or was cut off is marked in words."""
    page = person.go(f"/ui/c/{person.site.ids['left']}")
    expect(page.locator(".mark")).to_contain_text("Interrupted: the client left")
    page = person.go(f"/ui/c/{person.site.ids['failed']}")
    expect(page.locator(".mark").last).to_contain_text("Rate limit reached")


def test_new_messages_come_by_themselves(person: Person) -> None:
    """A conversation that is open shows what is recorded meanwhile."""
    page = person.go(f"/ui/c/{person.site.ids['report']}")
    said = {"role": "user", "content": "And now live!"}
    with person.site.proxy.client("q3-report", "ann@example.com") as client:
        client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": [said]})
    expect(page.locator(".by-user").last).to_contain_text("And now live!")
    expect(page.locator(".said").last).to_be_in_viewport()


def test_new_messages_below(person: Person) -> None:
    """Whoever reads further up stays there, is told of what came, and gets to it."""
    page = person.go(f"/ui/c/{person.site.ids['python']}")
    scroll_up(page)
    said = {"role": "user", "content": "Far down"}
    with person.site.proxy.client() as api:
        api.post("/conversations/session-python/messages", json=said)
    below = page.get_by_role("button", name="New messages have arrived.")
    expect(below).to_be_in_viewport()
    expect(page.locator(".said").last).not_to_be_in_viewport()
    below.click()
    expect(page.locator(".said").last).to_be_in_viewport()
    expect(below).to_have_count(0)
    expect(page.locator("#scroll")).to_be_focused()


def test_what_is_deleted_elsewhere_says_so(person: Person) -> None:
    """A conversation that is open tells that somebody has deleted it for good."""
    said = {"role": "user", "content": "Not for long"}
    with person.site.proxy.client("soon-gone", "zoe") as client:
        client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": [said]})
        page = person.go("/ui?user=zoe")
        page.locator("#rows .row").first.click()
        expect(page.locator(".by-user").last).to_contain_text("Not for long")
        client.delete("/conversations/soon-gone?permanent=true")
    expect(page.locator(".chat-head [role=alert]")).to_contain_text("deleted for good")
    person.faults.clear()  # The browser writes each answer 404 into its console.


def test_an_upload_after_the_end_of_the_session_says_so(browser: Browser, site: Site) -> None:
    """Whoever was signed out meanwhile is told at the door that nothing was imported."""
    with somebody(browser, site) as person:
        page = person.go("/ui/import")
        person.context.clear_cookies()
        file = {"name": "one.json", "mimeType": "application/json", "buffer": b"{}"}
        page.locator("[data-drop] input[type=file]").set_input_files(file)  # type: ignore[arg-type]
        expect(page.locator("main [role=alert]")).to_contain_text("the change was not made")
        expect(page.locator("[name=next]").last).to_have_value("/ui/import")
        person.faults.clear()  # The browser writes each answer 401 into its console.


def test_rename_delete_and_undo(person: Person) -> None:
    """A title can be changed, and what was deleted comes back by a click."""
    page = person.go("/ui?user=10.0.0.7")
    page.get_by_text("Explain the CAP theorem").click()
    page.get_by_label("Rename").click()
    page.locator("#sheet input[name=title]").fill("CAP, explained")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#chat-title")).to_have_text("CAP, explained")
    page.get_by_label("Delete", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Moved to the bin.")
    expect(page.locator("#rows").get_by_text("CAP, explained")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toast")).to_contain_text("Restored.")
    expect(page.locator("#chat-title")).to_have_text("CAP, explained")


def test_clearing_a_history(person: Person) -> None:
    """A history is cleared only when its user's name is typed, and can be had back."""
    page = person.go("/ui?user=li.wei")
    page.get_by_text("Clear this user’s history").click()
    page.locator("#sheet input[name=confirm]").fill("somebody")
    page.locator("#sheet .button.danger").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was deleted")
    page.locator("input[name=confirm]").fill("li.wei")
    page.locator("main .button.danger").click()
    expect(page.locator("#toast")).to_contain_text("in the bin")
    page = person.go("/ui?bin=1&user=li.wei")
    for _ in range(3):
        page.locator("#rows a.row").first.click()
        page.get_by_role("button", name="Restore").click()
        expect(page.locator("#toast")).to_contain_text("Restored.")
        page = person.go("/ui?bin=1&user=li.wei")
    expect(page.locator("#rows a.row")).to_have_count(0)


def test_export_all_chats(browser: Browser, site: Site, tmp_path: Path) -> None:
    """One visible button of that name gives everything as a file, in Chinese on a phone too."""
    with somebody(browser, site, language="zh-CN", size=PHONE) as person:
        page = person.go("/ui")
        page.get_by_role("link", name="导出全部会话").click()
        expect(page.get_by_role("heading", name="导出全部会话")).to_be_in_viewport()
        sheet = page.locator("#sheet")
        assert sheet.evaluate("one => one.scrollWidth <= one.clientWidth")
        page.locator("#sheet").get_by_text("ZIP", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("button", name="下载").click()
        download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["complete"]
    assert manifest["conversations"] > 300


def test_export_with_a_filter_and_import_again(person: Person, tmp_path: Path) -> None:
    """What a filter leaves is a file, and a file that is chosen or dropped comes in again."""
    page = person.go("/ui")
    page.get_by_role("link", name="Export all chats").click()
    sheet = page.locator("#sheet")
    before = sheet.locator("[data-counted]").inner_text()
    sheet.locator("input[name=user]").fill("ann@example.com")
    sheet.locator("input[name=user]").blur()
    expect(sheet.locator("[data-counted]")).not_to_have_text(before)
    expect(sheet.locator("[data-counted]")).to_contain_text("What the filter leaves")
    sheet.get_by_text("lossless, for a backup").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "some.json")
    assert json.loads((tmp_path / "some.json").read_text("utf-8"))["complete"]
    link, owner = page.locator("a[href='/ui/import']"), sheet.locator("input[name=user]")
    link.click()
    expect(sheet.get_by_role("heading", name="Import a file")).to_be_visible()
    owner.fill("somebody")
    # The second press of a double one takes nothing from the sheet that the first has brought.
    with page.expect_response("**/ui/import"):
        link.dispatch_event("click")
    page.wait_for_load_state("networkidle")
    expect(owner).to_have_value("somebody")
    owner.clear()
    owner.press("Enter")
    sheet.locator("input[type=file]").set_input_files(tmp_path / "some.json")
    expect(sheet.locator(".report")).to_contain_text("There already")
    with page.expect_file_chooser():
        sheet.locator("input[type=file]").click()
    # The browser tells of the same file once more only when none was chosen.
    expect(sheet.locator("input[type=file]")).to_have_value("")
    (tmp_path / "odd.bin").write_bytes(b"\0\1\2")
    sheet.locator("input[type=file]").set_input_files(tmp_path / "odd.bin")
    expect(sheet.locator("[data-report]")).not_to_contain_text("There already")
    expect(sheet.locator("[data-report]")).to_contain_text("That cannot be used: ")


def test_a_sheet_closes_by_a_press_beside_it(person: Person) -> None:
    """One on its edge, or one that marks a text and ends beside it, takes nothing from it."""
    page = person.go(f"/ui/c/{person.site.ids['python']}")
    page.get_by_role("link", name="Rename").click()
    sheet, mouse = page.locator("#sheet"), page.mouse
    expect(sheet).to_be_visible()
    box = sheet.bounding_box()
    assert box
    inside = (box["x"] + 8, box["y"] + 8)
    mouse.click(*inside)
    mouse.move(*inside)
    mouse.down()
    mouse.move(5, 5)
    mouse.up()
    expect(sheet).to_be_visible()
    mouse.click(5, 5)
    expect(sheet).to_be_hidden()


def test_a_file_is_dropped_beside_its_place(person: Person) -> None:
    """Wherever on the page a file falls, it is imported, and the browser stays where it is."""
    page = person.go("/ui")
    page.get_by_text("Import a file").click()
    expect(page.locator("#sheet [data-drop]")).to_be_visible()
    head = "# T\n_Exported on 1/2/2026 at 10:00:00 GMT+8 from Cursor (1.0.0)_\n\n---\n\n"
    page.evaluate(DROP, head + "**User**\n\nHi\n\n---\n\n**Cursor**\n\nHello\n\n---\n")
    expect(page.locator("#sheet .report")).to_contain_text("Messages added")


def test_long_and_foreign_names(browser: Browser, site: Site) -> None:
    """Arabic stands on the right; names of 255 letters leave the messages in sight; silence is told
    of; what is found behind an İ is marked.
    """
    for size in (DESK, PHONE):
        with somebody(browser, site, size=size) as person:
            page = person.go(f"/ui/c/{site.ids['foreign']}?q=python")
            expect(page.locator(".said").last).to_contain_text("Nothing was said.")
            expect(page.locator(".said").last).to_be_in_viewport()
            assert page.locator(".chat-head").bounding_box()["height"] < 160  # type: ignore[index]
            arabic = page.locator(".by-assistant .text p").first
            assert arabic.evaluate(GAPS)["right"] < 2 < arabic.evaluate(GAPS)["left"]
            bullets = page.locator(".by-assistant .text ul").first
            assert bullets.evaluate("one => getComputedStyle(one).direction") == "rtl"
            english = page.get_by_text("That is all.")
            assert english.evaluate(GAPS)["left"] < 2
            assert page.evaluate("[...CSS.highlights.get('found')].map(String)") == ["Python"] * 2
            for path in ("/ui", "/ui/users", f"/ui/search?q=Python&user=عمر{'u' * 240}"):
                person.go(path)
                assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
            person.go("/ui/users").get_by_role("link", name="More").click()
            expect(page.get_by_role("link", name="عمر")).to_be_attached()
            expect(page.locator("td.number").nth(1)).to_be_in_viewport(ratio=1)


def test_search_opens_at_the_message(person: Person) -> None:
    """A hit leads to its message in the middle of a long conversation, and marks it."""
    page = person.go("/ui/search?q=“Question 4321”")
    page.locator("a.hit").click()
    found = page.locator("[data-found]")
    expect(found).to_contain_text("Question 4321")
    expect(found).to_be_in_viewport()
    page.wait_for_function("() => CSS.highlights.size === 1")
    expect(page.locator(".to-end")).to_be_visible()


def test_a_word_far_down_in_what_was_found(person: Person) -> None:
    """It is in view, also where the message is long, is folded, and is scrolled in itself."""
    lines = "line\n\n" * 300
    said = [
        {"role": "assistant", "content": f"{lines}the needle\n\n{lines}"},
        {"role": "tool", "content": f"{lines}the pin\n{lines}"},
        {"role": "user", "content": lines},
    ]
    with person.site.proxy.client() as api:
        api.post("/conversations/", json={"session_id": "far", "user_identifier": "far"})
        api.post("/conversations/far/messages", json=said)
    for word in ("needle", "pin"):
        page = person.go(f"/ui/search?q={word}&user=far")
        page.locator("a.hit").click()
        page.wait_for_load_state()
        page.wait_for_function(
            """() => {
              const [word] = CSS.highlights.get("found") ?? [];
              if (!word) return false;
              const place = word.getBoundingClientRect();
              return place.height > 0 && place.top > 100 && place.bottom < innerHeight;
            }"""
        )


def test_what_was_searched_for_is_marked(person: Person) -> None:
    """As it was found: whole words, and Chinese beside them for itself."""
    page = person.go(f"/ui/c/{person.site.ids['python']}?q=库print")
    scroll_up(page)
    marked = page.evaluate("[...CSS.highlights.get('found')].map(String)")
    assert set(marked) == {"库", "print"}
    page = person.go(f"/ui/c/{person.site.ids['python']}?q=prin")
    assert page.evaluate("CSS.highlights.get('found').size") == 0


def test_sound_can_be_played(person: Person) -> None:
    """What somebody said aloud is heard where it stands, and the policy allows it."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    data = base64.b64encode(sound.getvalue()).decode()
    asked = [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]
    with person.site.proxy.client() as api:
        one = api.post("/conversations/", json={"session_id": "heard", "user_identifier": "ann"})
        api.post("/conversations/heard/messages", json={"role": "user", "content": asked})
    page = person.go(f"/ui/c/{one.json()['id']}")
    page.wait_for_function("document.querySelector('audio').duration === 1")


def test_a_phrase_is_marked_as_a_whole(person: Person) -> None:
    """Not its words elsewhere; also where it is partly bold, and never in what the page says."""
    with person.site.proxy.client() as api:
        one = api.post("/conversations/", json={"session_id": "phrase", "user_identifier": "ann"})
        said = "A **copy**, of\n```\ncopy of it\n```\nof a copy, 深度学习 of 学习深度. Copy!"
        api.post("/conversations/phrase/messages", json={"role": "user", "content": said})
        address = f"/ui/c/{one.json()['id']}"
    marked = "[...CSS.highlights.get('found')].map(String)"
    page = person.go(f"{address}?q=“copy of” “学习 of 学习”")
    assert page.evaluate(marked) == ["copy, of", "copy of", "学习 of 学习"]
    page = person.go(f"{address}?q=copy 深度 度学")
    assert page.evaluate(marked) == ["copy", "copy", "copy", "深度", "度学", "深度", "Copy"]


def test_what_was_searched_for_is_marked_however_it_is_written(person: Person) -> None:
    """In other case, with accents, in full width, in Hindi; and in what comes later."""
    written = ["ＣＡＦÉ", "cafe\u0301s", "Straße", "हिन्दी", "ह", "カ", "ガ"]
    with person.site.proxy.client() as api:
        one = api.post("/conversations/", json={"session_id": "folded", "user_identifier": "ann"})
        said = {"role": "user", "content": " ".join(written)}
        api.post("/conversations/folded/messages", json=said)
        page = person.go(f"/ui/c/{one.json()['id']}?q=café strasse हिन्दी ガ")
        expected = ["ＣＡＦÉ", "Straße", "हिन्दी", "ガ"]
        assert page.evaluate("[...CSS.highlights.get('found')].map(String)") == expected
        api.post("/conversations/folded/messages", json={"role": "user", "content": "cafe"})
        page.wait_for_function("() => CSS.highlights.get('found').size === 5")


def test_down_to_where_it_goes_on(person: Person) -> None:
    """Whoever opened a conversation in its middle and scrolled to its end sees what comes then."""
    with person.site.proxy.client() as api:
        one = api.post("/conversations/", json={"session_id": "down", "user_identifier": "ann"})
        said = [{"role": "user", "content": f"line {n}\n" * 9} for n in range(60)]
        added = api.post("/conversations/down/messages", json=said).json()
        page = person.go(f"/ui/c/{one.json()['id']}?at={added[0]['id']}")
        expect(page.locator(".to-end")).to_be_visible()
        page.locator(".said").last.scroll_into_view_if_needed()
        expect(page.locator(".said").last).to_contain_text("line 59")
        expect(page.locator(".to-end")).to_have_count(0)
        api.post("/conversations/down/messages", json={"role": "user", "content": "And on."})
        expect(page.locator(".said").last).to_contain_text("And on.")
        expect(page.locator(".chat-about")).to_contain_text("61 messages")
        expect(page.locator("#rows [aria-current]")).to_contain_text("61 messages")


def test_filters_have_addresses(person: Person) -> None:
    """A filter that is typed is in the address, and taking it away goes back."""
    page = person.go("/ui")
    page.locator(".filters input[name=user]").fill("user123")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".chip")).to_contain_text("user123")
    assert "user=user123" in page.url
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)


def test_copying(person: Person) -> None:
    """Code, and a whole message, are in the clipboard after one click, as they were written."""
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = person.go(f"/ui/c/{person.site.ids['python']}")
    scroll_up(page)
    page.locator(".code .copy").first.click()
    copied(page, "def greet(name: str)")
    page.locator(".said", has=page.locator(".code")).first.locator(".said-end .copy").click()
    copied(page, stories.PYTHON)
    plain = page.locator(".said", has_not=page.locator("template")).last
    plain.locator(".said-end .copy").click()
    copied(page, plain.locator(".text").inner_text())


def test_a_slow_answer_is_not_shown_in_another_conversation(person: Person) -> None:
    """What was asked for one conversation, and comes when another is open, stays away from it."""
    ids = person.site.ids
    page = person.go(f"/ui/c/{ids['report']}")
    waiting: list[Route] = []
    page.route(f"**/ui/c/{ids['report']}/messages?after=*", lambda route: waiting.append(route))
    page.route(f"**/ui/c/{ids['foreign']}", lambda route: waiting.append(route))
    page.locator(f'#rows [data-id="{ids["foreign"]}"]').click()
    for _ in range(PATIENCE // 100):
        # The open conversation asks every two seconds whether there is more.
        page.wait_for_timeout(100)
        if len(waiting) == 2:
            break
    page.locator(f'#rows [data-id="{ids["python"]}"]').click()
    expect(page.locator(".code").first).to_be_attached()
    assert len(waiting) == 2
    for route in waiting:
        if "messages" in route.request.url:
            route.fulfill(status=404, body="")
        else:
            route.continue_()
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile(f"/ui/c/{ids['python']}$"))
    expect(page.locator(".chat-head [role=alert]")).to_have_count(0)
    page.locator(f'#rows [data-id="{ids["foreign"]}"]').click()
    page.locator(f'#rows [data-id="{ids["python"]}"]').click()
    page.wait_for_timeout(400)
    expect(page.locator("#main[aria-busy]")).to_have_count(0)
    person.faults.clear()  # The browser writes the answer 404 into its console.


def test_nothing_hostile_does_anything(person: Person) -> None:
    """What clients and models write to attack a reader: no dialog, no request, no violation."""
    number = person.site.ids["hostile"]
    page = person.go(f"/ui/c/{number}")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for _ in range(2):
        scroll_up(page)
        page.wait_for_timeout(50)
    page.locator(".said a").first.hover()
    for path in ("/title", "/erase", "/export"):
        person.go(f"/ui/c/{number}{path}")
    user = "<img src=x onerror=alert(1)>"
    for path in ("/ui/users", f"/ui?user={user}", f"/ui/clear?user={user}", "/ui/search?q=alert"):
        person.go(path)
    for path in (f"/ui/calls?user={user}", "/ui/overview?span=7d", "/ui/keys/audit"):
        person.go(path)
    person.go("/ui/search?q=<script>alert(1)</script>")
    assert person.faults == []
    for address in page.locator("main a").evaluate_all("all => all.map((one) => one.href)"):
        assert address.startswith(("http://", "https://"))


def test_paper(person: Person) -> None:
    """It is light, takes code to its end, and tells of messages that were not open."""
    code = "```\n" + "x = 1\n" * 99 + "x" * 300 + "\n```"
    with person.site.proxy.client() as api:
        one = api.post("/conversations/", json={"session_id": "paper", "user_identifier": "ann"})
        api.post("/conversations/paper/messages", json={"role": "assistant", "content": code})
    page = person.go(f"/ui/c/{one.json()['id']}")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator(".skip")).to_be_hidden()
    page.wait_for_function(
        """() => {
          const one = document.querySelector("pre");
          return one.scrollHeight <= one.clientHeight && one.scrollWidth <= one.clientWidth;
        }"""
    )
    expect(page.locator(".only-print")).to_be_hidden()
    person.go(f"/ui/c/{person.site.ids['long']}")
    expect(page.locator(".only-print")).to_contain_text("Not the whole conversation")


def test_charts_can_be_read(person: Person) -> None:
    """Pointing at a bar reads its numbers, and the table under it says the same in text."""
    page = person.go("/ui/overview")
    plot = page.locator(".plot").first
    plot.locator(".column").nth(12).hover()
    expect(plot.locator(".told")).to_contain_text("successful")
    page.get_by_text("The same numbers over time").click()
    assert page.locator("details tbody tr").count() > 20
    page.get_by_role("link", name="7 days").click()
    expect(page.locator(".spans [aria-current]")).to_have_text("7 days")


def test_the_call_log(person: Person) -> None:
    """The log goes on while scrolling, and leaves what a filter asks for."""
    page = person.go("/ui/calls")
    rows = page.locator(".calls tbody tr")
    before = rows.count()
    page.locator(".more").scroll_into_view_if_needed()
    expect(page.locator(".calls tbody tr").nth(before + 20)).to_be_attached()
    expect(page.locator(".calls time").last).to_have_text(re.compile(r" \d\d:\d\d:\d\d$"))
    page.get_by_label("Errors only").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".calls tbody tr").first).to_contain_text("⚠")


def test_what_failed_is_seen_on_a_phone(browser: Browser, site: Site) -> None:
    """How a call ended stands beside its time, where no scrolling is needed to read it."""
    with somebody(browser, site, size=PHONE) as person:
        page = person.go("/ui/calls?errors=1")
        cell = page.locator(".calls tbody tr").first.locator("td").first
        expect(cell).to_contain_text("⚠")
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] + 100 < PHONE[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_other_colours_are_one_click_away(browser: Browser, site: Site, theme: str) -> None:
    """A click changes what is seen, whichever colours the system has; another undoes it."""
    with somebody(browser, site, theme=theme, is_signed_in=False) as person:
        body = person.go("/ui/enter").locator("body")
        person.faults.clear()  # The browser writes the answer 401 into its console.
        first = body.evaluate("body => getComputedStyle(body).backgroundColor")
        person.page.locator("[name=theme]:visible").click()
        expect(body).not_to_have_css("background-color", first)
        person.page.locator("[name=theme]:visible").click()
        expect(body).to_have_css("background-color", first)


def test_nothing_moves_while_a_page_comes(person: Person) -> None:
    """Buttons that the script shows and the list of users push nothing away."""
    person.page.add_init_script(
        "window.moved = []; new PerformanceObserver(list => { for (const one of list.getEntries())"
        " for (const { node } of one.sources) moved.push(node?.className ?? 'gone'); })"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    page = person.go(f"/ui/c/{person.site.ids['long']}")
    page.locator(".people .number").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("moved") == []


def test_without_a_network(browser: Browser, site: Site) -> None:
    """It is said, covers nothing that can be pressed, and is over by itself."""
    for size, link in ((DESK, "Import a file"), (PHONE, "Calls")):
        with somebody(browser, site, size=size) as person:
            page = person.go("/ui")
            person.context.set_offline(True)
            told = page.get_by_text("The proxy cannot be reached.")
            expect(told).to_be_visible()
            page.get_by_role("link", name=link).click(trial=True, timeout=3000)
            person.context.set_offline(False)
            expect(told).to_be_hidden()


def test_what_a_server_in_front_answers_for_us_is_no_answer(person: Person) -> None:
    """While the proxy starts again, nginx says 502: what was asked for still comes by itself."""
    page = person.go("/ui")
    number = person.site.ids["report"]
    page.route(f"**/ui/c/{number}", lambda route: route.fulfill(status=502, body="nginx"), times=1)
    page.locator(f'#rows [data-id="{number}"]').click()
    expect(page.get_by_text("The proxy cannot answer right now.")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#chat-title")).to_contain_text("Quarterly report")
    expect(page.locator("#unable")).to_be_hidden()


def test_what_was_asked_for_without_a_network_comes_with_it(person: Person) -> None:
    """It goes on by itself, as the page says: a conversation, and a list that is scrolled."""
    page = person.go("/ui")
    page.wait_for_load_state("networkidle")
    rows = page.locator("#rows a.row")
    before = rows.count()
    person.context.set_offline(True)
    page.wait_for_function("fetch('/health/live').then(() => false, () => true)")
    page.get_by_text("Regex for ISO dates").first.click()
    page.locator("#rows .more").scroll_into_view_if_needed()
    expect(page.locator("#rows .more[aria-busy]")).to_be_visible()
    person.context.set_offline(False)
    expect(page.locator("#chat-title")).to_have_text("Regex for ISO dates")
    expect(rows.nth(before)).to_be_attached()
    expect(page.locator("#offline")).to_be_hidden()


def test_a_magnified_page_has_room_to_read(browser: Browser, site: Site) -> None:
    """At 400 %, half of the screen at least is the conversation (WCAG 2.2, 1.4.10)."""
    with somebody(browser, site, size=(320, 256)) as person:
        page = person.go(f"/ui/c/{site.ids['python']}")
        box = page.locator("#scroll").bounding_box()
        assert box
        assert box["height"] > 128


def test_the_hint_of_the_search_field(browser: Browser, site: Site) -> None:
    """The key that leads to the field stands inside of it, in Chinese too, whose lines are high."""
    with somebody(browser, site, language="zh-CN") as person:
        page = person.go("/ui")
        field, hint = (page.locator(f".find {one}").bounding_box() for one in ("input", "kbd"))
        assert field is not None
        assert hint is not None
        assert hint["y"] + hint["height"] < field["y"] + field["height"]


def test_a_key_is_made_and_revoked(browser: Browser, site: Site) -> None:
    """Whoever signs in with a new key is out as soon as it is revoked."""
    with somebody(browser, site) as admin, somebody(browser, site, is_signed_in=False) as guest:
        page = admin.go("/ui/keys")
        page.get_by_label("Name").fill("for a guest")
        page.get_by_role("button", name="Make the key").click()
        key = page.locator(".made code").inner_text()
        guest.go("/ui")
        guest.page.fill("#key", key)
        guest.page.keyboard.press("Enter")
        expect(guest.page.locator("#rows")).to_be_visible()
        row = page.get_by_role("row", name="for a guest")
        row.get_by_role("link", name="Revoke").click()
        page.locator("#sheet .danger").click()
        expect(page.locator("tr.gone").first).to_contain_text("revoked")
        guest.go("/ui")
        expect(guest.page.locator("#key")).to_be_visible()


def test_a_reload_makes_no_second_key(browser: Browser, site: Site) -> None:
    """Without JavaScript too: the answer that shows a key can be loaded again, and shows none."""
    with somebody(browser, site, has_script=False) as admin:
        page = admin.go("/ui/keys")
        page.get_by_label("Name").fill("only one of these")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator(".made code")).to_contain_text("sk-oai-")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("sent before")
        expect(page.locator(".made")).to_have_count(0)
        expect(page.get_by_role("rowheader", name="only one of these")).to_have_count(1)


@pytest.fixture
def elsewhere(site: Site, tmp_path: Path) -> Iterator[str]:
    """A page of another site, which has a link, a frame and a form that lead to ours."""
    (tmp_path / "index.html").write_text(
        f'<a href="{site.root}/ui/c/{site.ids["report"]}">look</a>'
        f'<iframe src="{site.root}/ui"></iframe>'
        f'<form method="post" action="{site.root}/ui/clear"><input name="user" value="user123">'
        '<input name="confirm" value="user123"><button>x</button></form>'
    )
    handler = partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_link_of_another_site(browser: Browser, site: Site, elsewhere: str) -> None:
    """Whoever is signed in and follows a link in a mail or a chat lands where it leads."""
    with somebody(browser, site) as person:
        person.page.goto(elsewhere)
        person.page.click("a")
        expect(person.page.locator("#chat-title")).to_contain_text("Quarterly report")
        person.faults.clear()


def test_no_other_page_shows_it_in_a_frame(browser: Browser, site: Site, elsewhere: str) -> None:
    """A page of another origin cannot put ours into a frame, nor post a form to it."""
    with somebody(browser, site) as person:
        page = person.page
        page.goto(elsewhere)
        assert page.frames[1].url in ("", "chrome-error://chromewebdata/")
        expect(page.frame_locator("iframe").locator("#key")).to_have_count(0)
        person.sees_fault("frame-ancestors")
        with page.expect_navigation() as answer:
            page.click("button")
        assert answer.value.status == 403
        person.faults.clear()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without telling anybody."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_api_page_below_a_path(browser: Browser, site: Site) -> None:
    """Behind a server that takes the path off again, what is tried goes below it, too."""
    page = browser.new_page()
    asked = []

    def take_off(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(response=route.fetch(url=route.request.url.replace("/ai/", "/")))

    page.route("**/ai/**", take_off)
    page.goto(f"{site.root}/ai/docs#/Health/live")
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert f"{site.root}/ai/health/live" in asked
    page.close()


def test_without_javascript(browser: Browser, site: Site, tmp_path: Path) -> None:
    """Links and forms do the work: reading, searching, renaming and exporting need no script."""
    with somebody(browser, site, has_script=False) as person:
        page = person.go("/ui?user=ann%40example.com")
        page.get_by_text("Quarterly report").first.click()
        expect(page.locator("#chat-title")).to_contain_text("Quarterly report")
        page.get_by_role("link", name="Export", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        download.value.save_as(tmp_path / "one.md")
        assert "quarterly report" in (tmp_path / "one.md").read_text("utf-8")


LOOKS = [
    (size, theme, language)
    for size in (DESK, PHONE)
    for theme in ("light", "dark")
    for language in ("en-US", "zh-CN")
]


@pytest.mark.parametrize(("size", "theme", "language"), LOOKS)
def test_every_look_is_accessible(
    browser: Browser, site: Site, size: tuple[int, int], theme: str, language: str
) -> None:
    """On a desk and a phone, light and dark, in both languages: axe finds nothing, and nothing
    is wider than the screen.
    """
    with somebody(browser, site, size=size, theme=theme, language=language) as person:
        for path in _paths(site, size, theme, language):
            page = person.go(path)
            assert _faults(page) == [], path
            wider = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wider, path


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_nothing_is_wider_than_the_smallest_phones(
    browser: Browser, site: Site, width: int, language: str
) -> None:
    """No room scrolls sideways, whatever its words are."""
    with somebody(browser, site, size=(width, 640), language=language) as person:
        for path in ("/ui", "/ui/overview", "/ui/calls", "/ui/keys", "/ui/users", "/ui/export"):
            page = person.go(path)
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path


def _paths(site: Site, size: tuple[int, int], theme: str, language: str) -> list[str]:
    """Those rooms that look different then: what differs by colour is all in a conversation."""
    chat = f"/ui/c/{site.ids['python']}"
    if size == DESK and language == "en-US" and theme == "dark":
        return [chat, "/ui/overview", "/ui/calls"]
    if size == DESK and language == "en-US":
        return [chat, "/ui/search?q=python", "/ui/export", "/ui/overview", "/ui/calls", "/ui/keys"]
    return [chat, "/ui", "/ui/overview"] if size == PHONE and language == "en-US" else [chat]


def _faults(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds, best practices among it."""
    page.evaluate(AXE.read_text("utf-8") + ";0")
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run()).violations.map("
        "(one) => ({id: one.id, nodes: one.nodes.map((n) => n.html + n.failureSummary)}))"
    )
    return found


def test_the_door_is_accessible(browser: Browser, site: Site) -> None:
    """Whoever cannot see finds the way in."""
    with somebody(browser, site, is_signed_in=False) as person:
        page = person.go("/ui")
        assert _faults(page) == []
