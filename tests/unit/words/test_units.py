"""Words and runs of a folded text, and the patterns that find them."""

import pytest

from officeai_proxy.words.units import MAX_WORD, is_run, pairs, pattern_of, units


@pytest.mark.parametrize("text", ["", "  ", "%_*", "👍🏽 — …", "'\"();", "__"])
def test_nothing_to_find(text: str) -> None:
    """Signs, spaces and emoji are no words."""
    assert units(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gpt-4模型", [("gpt", False), ("4", False), ("模型", True)]),
        ("用python写", [("用", True), ("python", False), ("写", True)]),
        ("snake_case", [("snake", False), ("case", False)]),
        ("カタカナ・ひらがな", [("カタカナ", True), ("ひらがな", True)]),
        ("ラーメン", [("ラーメン", True)]),
        ("한국어 abc", [("한국어", True), ("abc", False)]),
        ("ที่นี่ที่ไหน", [("ที่นี่ที่ไหน", False)]),
        ("हिन्दी में", [("हिन्दी", False), ("में", False)]),
        ("日本語𠮷野家", [("日本語𠮷野家", True)]),
        ("don't", [("don", False), ("t", False)]),
    ],
)
def test_units(text: str, told: list[tuple[str, bool]]) -> None:
    """Scripts without spaces give runs, all others whole words; vowel signs end no word."""
    assert units(text) == [(unit, "") if run else ("", unit) for unit, run in told]
    assert [is_run(unit) for unit, _ in told] == [run for _, run in told]


def test_a_long_word_is_cut() -> None:
    """Of a word without end only the beginning counts."""
    assert units("x" * 1000) == [("", "x" * MAX_WORD)]


def test_pairs() -> None:
    """A run gives its neighbours; one character has none."""
    assert pairs("数据库") == ["数据", "据库"]
    assert pairs("数") == []


@pytest.mark.parametrize(
    ("phrase", "text", "is_found"),
    [
        (("cat",), "concatenate", False),
        (("cat",), "a cat.", True),
        (("cat",), "用cat写", True),
        (("नद",), "नदी", False),
        (("数据",), "大数据库", True),
        (("数据",), "数 据", False),
        (("hello", "world"), "hello, world", True),
        (("hello", "world"), "helloworld", False),
        (("hello", "world"), "hello big world", False),
        (("gpt", "4", "模型"), "gpt-4模型", True),
        (("用", "python"), "使用 python", True),
        (("用", "python"), "用的 python", False),
        (("x" * MAX_WORD,), "x" * 1000, True),
        (("x" * (MAX_WORD - 1),), "x" * MAX_WORD, False),
    ],
)
def test_patterns(phrase: tuple[str, ...], text: str, is_found: bool) -> None:
    """A pattern finds whole words, parts of runs, and phrases with nothing but signs between."""
    assert (pattern_of(phrase).search(text) is not None) == is_found
