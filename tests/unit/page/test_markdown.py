"""Markdown of clients and models: nothing comes out that could do something."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.page.stories import HOSTILE

from officeai_proxy.page.markdown import LONGEST, Markdown

MARKDOWN = Markdown(copy="Copy")

# What the renderer may write at all. A tag with anything else in it is a hole.
_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)([^<>]*)>")
_ALLOWED = frozenset(
    re.findall(
        r"\w+",
        "p br em strong s a ul ol li code pre blockquote hr img span button div "
        "h1 h2 h3 h4 h5 h6 table thead tbody tr th td",
    )
)
_ATTRIBUTE = re.compile(
    r'(?:\s+(?:class|href|src|alt|title|target|rel|type|tabindex|start|dir|data-copy)="[^"<>]*"'
    r"|\s+hidden)*\s*/?"
)

_PIECES = (
    *("<script>", "](javascript:x)", "![a](", "http://a.b", ")", '"', "`", "```", "|", "\n", "["),
    *("onerror=", "<img ", ">", "&#106;", "data:text/html,", "]", ":-:", "-", "\u2028"),
    *("https://a.b", "$", "$$", r"\(", r"\)", "\\[\n", "\n\\]"),
)


def assert_harmless(html: str) -> None:
    for _, name, attributes in _TAGS.findall(html):
        assert name in _ALLOWED, html
        assert _ATTRIBUTE.fullmatch(attributes), html
    for address in re.findall(r'(?:href|src)="([^"]*)"', html):
        assert re.match(r"https?://|mailto:|data:image/(png|jpeg|gif|webp);base64,", address), html


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_text(text: str) -> None:
    """What somebody writes to make the page do something is shown and does nothing."""
    assert_harmless(MARKDOWN.html(text))


@given(st.lists(st.sampled_from(_PIECES), max_size=30))
def test_no_mixture_gets_through(pieces: list[str]) -> None:
    """However the pieces of an attack are put together, only harmless tags come out."""
    assert_harmless(MARKDOWN.html("".join(pieces)))


@pytest.mark.parametrize(
    ("before", "address", "behind"),
    [
        ("See ", "https://a.example/b_c_d?x=1", "."),
        ("(", "https://a.example/b_(c)", ")"),
        ("见", "http://a.example/路径", "。然后"),
        ("- **", "https://a.example", "**"),
        ("| a |\n|---|\n| ", "https://a.example/b", " |"),
    ],
)
def test_bare_addresses_are_links(before: str, address: str, behind: str) -> None:
    """What models write as an address can be followed, without what stands around it."""
    html = MARKDOWN.html(before + address + behind)

    assert f'<a href="{address}" target="_blank"' in html
    assert f">{address}</a>" in html


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("`https://a.example`", 0),
        ("[https://a.example](https://b.example)", 1),
        ("<https://a.example>", 1),
        ("https:// and http://. and xhttp://a.example", 0),
        ("javascript:alert(1) ftp://a.example", 0),
    ],
)
def test_what_is_no_bare_address(text: str, links: int) -> None:
    """Code stays code, a link stays one link, and half an address stays text."""
    assert MARKDOWN.html(text).count("<a ") == links


@pytest.mark.parametrize(
    "formula",
    [
        r"\(a^2 + \{b\}\)",
        r"\[\mathbf{x}_{1} \\ \mathbf{y}_{2}\]",
        r"$\mathbf{x}_{1} + \mathbf{y}_{2}$",
        "$a*b*c$",
        "$$a*b*c$$",
    ],
)
def test_a_formula_is_shown_as_it_is(formula: str) -> None:
    """No backslash is taken out of it, and nothing in it becomes italic."""
    html = MARKDOWN.html(f"From {formula} *it* follows")

    assert html == (
        f'<p>From <code class="formula" dir="ltr">{formula}</code> <em>it</em> follows</p>\n'
    )


@pytest.mark.parametrize(("opening", "closing"), [(r"\[", r"\]"), ("$$", "$$")])
def test_a_formula_of_several_lines_is_one_piece(opening: str, closing: str) -> None:
    """Signs at the beginning of its lines make no list and no heading of it."""
    formula = f"{opening}\na_1 \\\\\n- b_1\n=\n+ c\n{closing}"
    html = MARKDOWN.html(f"1. So\n{indented(formula)}\n2. and *so*")

    assert f"<code>{formula}</code></pre>" in html
    assert html.count("<ul") + html.count("<h") == 0
    assert "<em>so</em>" in html


def indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.split("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "From $5 to $6, US$5-$6, or *$7*",
        "echo $HOME/$PATH and `$a$`",
        "$$ alone, \\[ open\n- and a list",
        r"\\(no formula\\)",
        "$$\n\nno formula\n\n$$",
        "$$",
    ],
)
def test_prices_and_variables_are_no_formulas(text: str) -> None:
    """Signs of dollars and of brackets that belong to nobody change nothing."""
    assert "formula" not in MARKDOWN.html(text.replace("no formula", "x"))


def test_things_to_do_have_boxes() -> None:
    """Empty or ticked, in lists of both kinds; nothing else that begins so has one."""
    html = MARKDOWN.html("- [ ] *one*\n- [x] two\n\n1. [X] three\n\n- [y] no\n- [x](https://a.b/)")
    assert '<li class="task">☐ <em>one</em></li>' in html
    assert '<li class="task">☑ two</li>' in html
    assert html.count('class="task"') == 3
    assert "☐" not in MARKDOWN.html("[ ] no list, `[x] code`")


def test_pictures_of_other_hosts_are_links() -> None:
    """A picture of another host would tell that host who reads: it is a link instead."""
    html = MARKDOWN.html("![a cat](https://evil.example/cat.png)")
    assert "<img" not in html
    assert 'href="https://evil.example/cat.png"' in html
    assert "a cat" in html


def test_pictures_in_the_text_are_shown() -> None:
    """A picture that carries itself is shown; SVG, which may hold scripts, is not."""
    assert '<img src="data:image/png;base64,AAAA"' in MARKDOWN.html(
        "![x](data:image/png;base64,AAAA)"
    )
    assert "<img" not in MARKDOWN.html("![x](data:image/svg+xml;base64,AAAA)")


def test_tables_have_no_inline_styles() -> None:
    """The alignment of a table is a class, because the policy forbids inline styles."""
    html = MARKDOWN.html("| a | b |\n|---:|:-:|\n| 1 | 2 |")
    assert "style" not in html
    assert 'class="align-right"' in html


def test_code_keeps_every_character() -> None:
    """Code is shown as it is, with the name of its language."""
    html = MARKDOWN.html("```python\nif a < b & c:\n    pass\n```")
    assert "if a &lt; b &amp; c:\n    pass" in html
    assert "<span>python</span>" in html


def test_a_very_long_text_is_not_read_as_markdown() -> None:
    """A text that would take seconds to read is shown as it is."""
    html = MARKDOWN.html("**" + "a" * LONGEST)
    assert html.startswith('<div class="plain">')


def test_ordinary_markdown() -> None:
    """Emphasis, lists, quotations, line breaks and links look like what they are."""
    html = MARKDOWN.html("**a**\nb\n\n- c\n\n> d\n\n[e](https://example.com/)")
    assert "<strong>a</strong><br />\nb" in html
    assert "<li>c</li>" in html
    assert "<blockquote>" in html
    assert 'href="https://example.com/" target="_blank" rel="noopener' in html
