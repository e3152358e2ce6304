"""The HTML page: nothing in it runs, nothing comes from elsewhere, everything can be read."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from time import process_time

import pytest
from tests.passages import NASTY, PICTURE, everything, line, talk, written
from typing_extensions import override

from officeai_proxy.formats.writing.passages import Passage

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</style><script>",
    "```<script>\n</pre></code><script>\n```",
    "&lt;script&gt;",
)


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(data.decode())

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def test_times_are_as_precise_as_html_has_them():
    """Three digits of a second for programs; people see them all."""
    times = ["2026-01-31T12:00:05.250001Z", "2026-01-31T12:00:06Z"]
    lines = [line({"role": "user"}, number, timestamp=time) for number, time in enumerate(times)]
    page = written("html", [Passage(talk().conversation, lines)]).decode()

    assert re.findall(r'<time datetime="([^"]+)">([^<]+)</time>', page) == [
        ("2026-01-31T12:00:05.250Z", times[0]),
        ("2026-01-31T12:00:06Z", times[1]),
    ]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_said_is_never_markup(attack: str):
    """In a text, a title, a user, a model, a role, a tool's name: it is shown as it is."""
    call = {"function": {"name": attack, "arguments": attack}}
    lines = [
        line({"role": "assistant", "content": attack, "tool_calls": [call]}, 1, model_name=attack),
        line({"role": attack[:16], "content": attack}, 2),
        line({"role": "user", "content": [{"type": "image_url", "image_url": {"url": attack}}]}, 3),
    ]
    head = talk(title=attack, user_identifier=attack, session_id=attack).conversation
    page = Page(written("html", [Passage(head, lines), Passage(head, lines)]))

    assert not {"script", "svg"} & {tag for tag, _ in page.tags}
    assert page.attributes("onerror") == page.attributes("onload") == []
    assert [tag for tag, _ in page.tags].count("style") == 1
    if "\n" not in attack:
        assert page.text.count(attack) >= 6


@pytest.mark.parametrize(
    "url",
    [
        "https://tracker.example/p.png",
        "javascript:alert(1)",
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        'data:image/png;base64,A" onerror="x',
    ],
)
def test_only_pictures_that_are_in_the_page_are_shown(url: str):
    """Whoever opens the file tells nobody that they did."""
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    page = Page(written("html", [Passage(talk().conversation, [line(message, 1)])]))

    assert page.attributes("src") == []
    assert set(page.attributes("href")) <= set()
    assert Page(written("html", [everything()])).attributes("src") == [PICTURE]


def test_the_policy_allows_the_one_style_sheet():
    """Its hash is that of the text between the tags, to the byte."""
    data = written("html", [talk("x")]).decode()

    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', data)
    [style] = re.findall(r"<style>(.*?)</style>", data, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "url(" not in style
    assert "@media screen and (prefers-color-scheme:dark)" in style
    on_paper = style.partition("@media print")[2]
    assert "white-space:pre-wrap;overflow-wrap:anywhere" in on_paper


@pytest.mark.parametrize("text", NASTY)
def test_text_comes_whole(text: str):
    """Every character is there, line breaks included."""
    page = Page(written("html", [talk(f"[{text}]")]))

    assert f"[{text}]".replace("\r\n", "\n") in page.text.replace("\r\n", "\n")


def test_contents_list_several_conversations():
    """Links lead to the conversations, in order; for a single one there is none."""
    two = Page(written("html", [talk("x", title="First"), talk("y", title="Second")]))
    one = Page(written("html", [talk("x", title="First")]))

    assert two.attributes("href") == ["#c1", "#c2"]
    assert [name for name in two.attributes("id") if name] == ["c1", "c2"]
    assert one.attributes("href") == []


def test_a_fence_without_end_takes_no_time():
    """A megabyte of what begins a block of code is read once: nobody else is served meanwhile."""
    began = process_time()
    text = "~" * 300_000 + " x`"

    assert text in Page(written("html", [talk(text)])).text
    assert process_time() - began < 5


def test_code_is_code():
    """What stands between fences is a block of its own, without the fences."""
    data = written("html", [talk("See:\n```py\nif a < b:\n    c()\n```\nDone.")]).decode()

    assert "<pre>\n<code>if a &lt; b:\n    c()\n</code></pre>" in data
    assert "```" not in data
