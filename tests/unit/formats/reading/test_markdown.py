"""Chats as Markdown: turns, what only looks like one, and the time of export."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.exports import CURSOR
from tests.markdown_texts import TEXTS, as_lines
from tests.passages import head, line, talk, written

from officeai_proxy.formats.reading import markdown
from officeai_proxy.formats.reading.imported import ImportedConversation, Reading
from officeai_proxy.formats.writing.passages import Passage
from officeai_proxy.wire.cleantext import clean_text

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
READING = Reading(now=NOW, item_bytes=10**6, total_bytes=10**6)


def read(text: str) -> ImportedConversation:
    """The conversation of *text*."""
    return markdown.conversation(text, READING)


@pytest.mark.parametrize(
    "text", ["", "# T\n", "text **User** text", "# T\n\n**User**\n\nno rule", "---\n\n**Nobody**\n"]
)
def test_other_texts_are_no_chats(text: str) -> None:
    """Without a turn behind a rule there is no chat."""
    assert not markdown.is_chat(text)


def test_a_chat_of_cursor() -> None:
    """Title, time and turns; a rule inside a turn and a turn inside a fence are its text."""
    assert markdown.is_chat(CURSOR)

    item = read(CURSOR)

    assert item.title == "怎样备份数据库"
    assert item.created_at == item.updated_at == datetime(2025, 9, 12, 12, 5, 6, tzinfo=UTC)
    assert [message.role for message in item.messages] == ["user", "assistant"] * 2
    texts = [message.content for message in item.messages]
    assert texts[0] == "怎样备份？"
    assert texts[1].startswith("先停止写入。\n\n### Steps")
    assert "\n---\n\nA rule of its own" in texts[1]
    assert "not said" in texts[1]
    assert texts[1].endswith("```")
    assert texts[2:] == ['"Export chat " only one?', "- Yes."]
    assert item.parents == (None, 0, 1, 2)
    assert item.leaf == 3


def test_the_same_chat_has_the_same_session() -> None:
    """A session id follows from what was said, whenever it was exported."""
    later = CURSOR.replace("9/12/2025", "10/12/2025")

    assert read(CURSOR).session_id == read(later).session_id
    assert read(CURSOR).session_id != read(CURSOR.replace("备份", "export")).session_id


def test_the_title_of_our_own_export_is_as_it_was() -> None:
    """Our escapes are undone; the session stays the one that it was given with them."""
    title = r"a \*b\* \\ \[c\]"
    chat = "\n\n---\n\n**User**\n\nhi\n"
    ours = read(f"# {title}\n_Exported on 2026-01-31 at 12:00:00 UTC from officeai-proxy_{chat}")
    theirs = read(f"# {title}\n_Exported on 2026-01-31 at 12:00:00 UTC from Cursor (1.5.5)_{chat}")

    assert (ours.title, ours.is_copy) == (r"a *b* \ [c]", True)
    assert (theirs.title, theirs.is_copy) == (title, False)
    assert ours.session_id == theirs.session_id


def test_fences_in_lists_end_where_they_end() -> None:
    """A fence that stands deep in a list hides no turn behind it."""
    text = "---\n\n**User**\n\n- a\n    ```sh\n    x\n  ```\n\n---\n\n**Cursor**\n\nyes\n"

    assert [message.role for message in read(text).messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("9/11/2025 at 19:54:53 GMT+8", datetime(2025, 9, 11, 11, 54, 53, tzinfo=UTC)),
        ("9/11/2025, 7:54:53 PM UTC", datetime(2025, 9, 11, 19, 54, 53, tzinfo=UTC)),
        ("9/11/2025 at 12:00 AM GMT-5:30", datetime(2025, 9, 11, 5, 30, tzinfo=UTC)),
        ("25/12/2025 at 10:00:00 WIB", datetime(2025, 12, 25, 3, 0, tzinfo=UTC)),
        ("25/12/2025 at 10:00:00 XYZT", datetime(2025, 12, 25, 10, 0, tzinfo=UTC)),
        ("5/20/2025 at 22:33:41 PDT", datetime(2025, 5, 21, 5, 33, 41, tzinfo=UTC)),
        ("1/2/2025, 1:02:03 AM EST", datetime(2025, 1, 2, 6, 2, 3, tzinfo=UTC)),
        ("2025/9/11 at 19:54:53 GMT+0800", datetime(2025, 9, 11, 11, 54, 53, tzinfo=UTC)),
        ("2025-09-11 at 19:54:53 UTC", datetime(2025, 9, 11, 19, 54, 53, tzinfo=UTC)),
        ("2025-09-11T19:54:53+08:00", datetime(2025, 9, 11, 11, 54, 53, tzinfo=UTC)),
        ("2025/6/21 at GMT+8 2:10:15", datetime(2025, 6, 20, 18, 10, 15, tzinfo=UTC)),
        ("2025/6/21 at GMT+5:30 14:10:15", datetime(2025, 6, 21, 8, 40, 15, tzinfo=UTC)),
        ("2025/10/15 at 11:28:00 [GMT+8]", datetime(2025, 10, 15, 3, 28, tzinfo=UTC)),
        ("2025/6/23 at 14:20:28 JST", datetime(2025, 6, 23, 5, 20, 28, tzinfo=UTC)),
        ("2025. 7. 29. at 11시 50분 19초 GMT-7", datetime(2025, 7, 29, 18, 50, 19, tzinfo=UTC)),
        ("10.7.2025 at 18:53:14 MESZ", datetime(2025, 7, 10, 16, 53, 14, tzinfo=UTC)),
        ("25.05.2026 at 2:55:10 GMT+3", datetime(2026, 5, 24, 23, 55, 10, tzinfo=UTC)),
        ("1.6.2025 at 14.45.18 GMT−3", datetime(2025, 6, 1, 17, 45, 18, tzinfo=UTC)),
        ("03/10/2026 at 16:40:42 BST", datetime(2026, 10, 3, 15, 40, 42, tzinfo=UTC)),
        ("07/04/2026 at 0:07:39 GMT", datetime(2026, 4, 7, 0, 7, 39, tzinfo=UTC)),
        ("1/6/2025 at 18:34:02 CEST", datetime(2025, 6, 1, 16, 34, 2, tzinfo=UTC)),
        ("2-1-2025 at 10:00:00 CET", datetime(2025, 1, 2, 9, 0, tzinfo=UTC)),
        ("11/6/2025 at 22:31:09 CST", datetime(2025, 11, 7, 4, 31, 9, tzinfo=UTC)),
        ("6/16/2025 at 12:55:28 GMT+3", datetime(2025, 6, 16, 9, 55, 28, tzinfo=UTC)),
        ("9/11/2025", NOW),
        ("99/99/2025 at 19:54:53", NOW),
        ("some day", NOW),
    ],
)
def test_the_time_of_export(told: str, moment: datetime) -> None:
    """As browsers of several countries write it; now, when it cannot be read."""
    text = f"# T\n_Exported on {told} from Cursor (1.5.5)_\n\n---\n\n**User**\n\nhi\n"

    assert read(text).messages[0].timestamp == moment


def test_our_own_chats_are_several() -> None:
    """Our export of several conversations is as many chats; a model behind the name is no text."""
    one = (
        "# {0}\n_Exported on 2026-01-31 at 12:00:00 UTC from officeai-proxy_\n"
        "\n---\n\n**User**\n\nhi {0}\n\n---\n\n**Assistant** (gpt-4o)\n\nho {0}\n"
    )

    found = [read(text) for text in markdown.chats(f"{one.format('A')}\n---\n\n{one.format('B')}")]

    assert [item.title for item in found] == ["A", "B"]
    assert [[m.content for m in item.messages] for item in found] == [
        ["hi A", "ho A"],
        ["hi B", "ho B"],
    ]


@given(
    texts=st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool"]), TEXTS)),
    title=st.text(),
)
def test_our_own_export_comes_back(texts: list[tuple[str, str]], title: str) -> None:
    """Every title and every text, but for empty lines around it and what ends a line."""
    lines = [line({"role": role, "content": text}, n) for n, (role, text) in enumerate(texts, 1)]
    passages = [Passage(head(title=title), lines), talk("another")]

    text = written("md", passages).decode()
    first, second = [read(one) for one in markdown.chats(text)]
    assert markdown.is_chat(text)

    assert [(str(m.role), m.content) for m in first.messages] == [
        (role, clean_text(as_lines(text))) for role, text in texts
    ]
    assert [m.content for m in second.messages] == ["another"]


@given(
    lines=st.lists(
        st.sampled_from(
            ["---", "**User**", "**Cursor** x", "```", "~~~~", "# T", "_Exported on x_", "", "a"]
        ),
        max_size=25,
    )
)
def test_any_lines_are_read(lines: list[str]) -> None:
    """Whatever the lines, reading ends well, and every turn hangs on the one before."""
    item = read("\n".join(lines))

    assert len(item.parents) == len(item.messages)
    assert item.leaf == (len(item.messages) - 1 if item.messages else None)
