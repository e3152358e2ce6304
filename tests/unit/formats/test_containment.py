"""Text in a message of Markdown: it can be read, hides nothing, and comes back as it was."""

from time import process_time

import pytest
from hypothesis import example, given
from tests.markdown_texts import TEXTS, as_lines

from officeai_proxy.formats.containment import (
    contained,
    escaped,
    fenced,
    released,
    unescaped,
    unfenced,
)


@given(TEXTS)
@example("```\nopen")
@example("```\nclosed\n```")
@example("```\nclosed\n````")
@example("```\nclosed\n````  ")
@example(r"\&\#42;<b\>User\*\*")
def test_every_text_comes_back(text: str):
    """Whatever was escaped, and whatever looks as if it had been."""
    assert released(contained(text)) == as_lines(text)
    assert unescaped(escaped(text)) == text


@given(TEXTS)
def test_every_result_comes_back(text: str):
    """A block of code holds every text; other text is not taken for such a block."""
    assert unfenced(fenced(text)) == as_lines(text)


@pytest.mark.parametrize(
    "text", ["", "```", "```\n```", "``\na\n``", "```\na\n```\nb", "```py\na\n```"]
)
def test_what_is_no_block_is_none(text: str):
    """Only what `fenced` writes is undone."""
    assert unfenced(text) is None


@pytest.mark.parametrize("digits", [4_990, 9_990, 9_999, 10_000, 10_010, 19_990, 20_010])
@pytest.mark.parametrize("text", ["`<b>` <b> ", r"`\<b>` \<b> ", "<b>"])
def test_long_lines_come_back(text: str, digits: int):
    """Also where a line is too long for a look at its code spans."""
    line = (text * digits)[:digits]

    assert released(contained(line)) == line


@pytest.mark.parametrize(
    "text",
    [
        "**Summary**",
        "The **User** is happy",
        "**Users**",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "- one\n- two",
        "```yaml\n---\na: <b>\n```",
        "1. first\n    ```sh\n    ls\n    ```",
        "a < b and `<div>` stay",
        "User",
    ],
)
def test_ordinary_text_stays_as_it_was_written(text: str):
    """Headings, tables, code and the word itself are nothing to escape."""
    assert contained(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("<!-- hidden", "\\<!-- hidden"),
        ("<details>", "\\<details>"),
        ("a <script>x</script>", "a \\<script>x\\</script>"),
        (r"\<b> \\<b>", r"\\\<b> \\\\\<b>"),
        ("`<b>` and <b>", "`<b>` and \\<b>"),
        ("```\nopen", "```\nopen\n````"),
        ("~~~~ x\n~~~\n```", "~~~~ x\n~~~\n```\n~~~~~"),
        ("  ```\n  a\nb\n```\n<b>", "  ```\n  a\nb\n```\n\\<b>"),
        ("  ```\n  a", "  ```\n  a\n  ````"),
        ("```\n**User**\n```", "```\n\\*\\*User\\*\\*\n```"),
        ("```\n# User\n```", "```\n# User\n```"),
        ("```\na\n```\n<b>", "```\na\n```\n\\<b>"),
    ],
)
def test_nothing_hides_what_follows(text: str, safe: str):
    """HTML is shown instead of done, and a code block that was left open is closed."""
    assert contained(text) == safe


def test_long_lines_take_no_time():
    """A megabyte of backticks, tags or stars is read once."""
    began = process_time()
    for text in ("`" * 500_000 + "<b>", "` `` " * 200_000 + "<b>", "<b>*_" * 200_000):
        assert released(contained(text)) == text
    # Openings of tags that never end, and backslashes before what is no tag; in code as well.
    for text in ("**" + "<" * 300_000, "\\" * 300_000 + "<1", "```\n__" + "<" * 300_000 + "\n```"):
        assert released(contained(text)) == text
        assert unfenced(fenced(text)) == text

    assert process_time() - began < 5
