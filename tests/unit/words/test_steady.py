"""Texts of ASCII and of Chinese, Japanese and Korean, cut in few steps as the rules would."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from officeai_proxy.words.folding import fold
from officeai_proxy.words.steady import steady_tokens
from officeai_proxy.words.units import MAX_WORD, pairs, units

STEADY = [
    chr(number)
    for number in range(0x10000)
    if not 0xD800 <= number < 0xE000 and steady_tokens(f"一{chr(number)}一") is not None
]

mixed = st.text(
    st.sampled_from("aZ09_ -\n,。“”—…→・的一是人かガ가각")
    | st.sampled_from(STEADY)
    | st.sampled_from("\0\t'éß\u0301\u3099\ufe0f\uff21\uf900ー々〆\uff8a\uff9e①¼😀\ud800")
)


def by_the_rules(text: str) -> tuple[list[str], list[str]]:
    """The words and pairs of *text* in order, and the distinct characters of its runs."""
    found = units(fold(text))
    ordered = [token for run, word in found for token in ([word] if word else pairs(run))]
    return ordered, list(dict.fromkeys("".join(run for run, _ in found)))


@pytest.mark.parametrize(
    "text",
    [
        "é",
        "一\u0301",
        "か\u3099",
        "\uff21",
        "\uf900",
        "1️⃣",
        "a\0一",
        "一\ud800",
        "Ж",
        "가\u11a8",
        "①",
    ],
)
def test_what_has_to_be_folded_is_left_to_others(text: str) -> None:
    """Accents, marks that melt into a letter, wide letters, and other scripts."""
    assert steady_tokens(text) is None


def test_each_character_that_is_taken_is_cut_by_the_rules() -> None:
    """Whatever stands beside it: a letter, Han, kana, Hangul, itself."""
    for char in STEADY:
        text = f"Ab{char}c一{char}二{char}{char}か{char}가x"
        tokens = steady_tokens(text)
        assert tokens is not None
        assert (tokens.said.split(), list(dict.fromkeys(tokens.runs))) == by_the_rules(text)
    assert len(STEADY) > 38_000


@given(mixed)
@example("你好,世界")
@example("好" * 9 + "a" * (MAX_WORD + 1) + "世界")
@example("ASCII only, " + "b" * (MAX_WORD + 1))
@example("a\0b")
@example("我，" + "一二三四五六七八九十" * 2)
@example("一二三四五六七八九十" * 2 + "，我")
def test_texts_are_cut_by_the_rules(text: str) -> None:
    """Any mixture gives the words, pairs and characters that folding and cutting give."""
    tokens = steady_tokens(text)

    if tokens is not None:
        assert (tokens.said.split(), list(dict.fromkeys(tokens.runs))) == by_the_rules(text)


@pytest.mark.parametrize(
    "text", ["Hello, 世界!", "“你好”——她说…", "カタカナ、ひらがな。", "한국어 글"]
)
def test_most_texts_are_taken(text: str) -> None:
    """Letters of ASCII, the scripts of East Asia, and their punctuation."""
    assert steady_tokens(text) is not None
