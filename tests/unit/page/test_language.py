"""Which language a reader gets, and that both languages say everything."""

import json
import re

import pytest

from officeai_proxy.page.language import WORDS, Language, choose, load_words


@pytest.mark.parametrize(
    ("chosen", "accepted", "expected"),
    [
        ("xx", "", "en"),
        (None, "de,fr;q=0.5", "en"),
        (None, "nonsense;q=x,zh", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-US,en;q=0.9,zh;q=0.8", "en"),
        (None, "de,zh;q=0.2,en;q=0.1", "zh"),
        (None, "zh;q=0,en", "en"),
        ("zh", "en", "zh"),
        ("en", "zh", "en"),
    ],
)
def test_the_choice(chosen: str | None, accepted: str, expected: str) -> None:
    """What was chosen counts first, then what the browser asks for, then English."""
    assert choose(chosen, accepted) == expected


def test_every_text_has_the_same_places_in_both_languages() -> None:
    """A value that one language tells is told by the other too."""
    english, chinese = (
        json.loads((WORDS / f"{language}.json").read_text("utf-8")) for language in Language
    )
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese[name])), name


def test_numbers_in_words() -> None:
    """One is not many in English, and thousands are grouped."""
    words = load_words()
    assert words[Language.ENGLISH].count("messages", 1) == "1 message"
    assert words[Language.ENGLISH].count("messages", 1204) == "1,204 messages"
    assert words[Language.CHINESE].count("messages", 1204) == "1,204 条消息"
