"""What counts as the same text, and where in the original a folded text came from."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.words.folding import FoldedText, fold

# Characters that melt together, grow, shrink or vanish, beside plain ones.
TRICKY = st.text(
    st.sampled_from(
        "aZ9 ßÉéİﬁ½①ｶﾞｱガか゛中，Ａ　ςσΣ﷽…हि्ทีนี่ㄱㅏﾡￂ각👍🏽數\u0301\u0323\u3099\u11a8\u1100\u1161"
        "\u200d\ufe0f\u0345\u0f71\u0f72\U000e0100"
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café", "cafe"),
        ("CAFE\u0301", "cafe"),
        ("Straße", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
        ("İstanbul", "istanbul"),
        ("ｆｕｌｌ　ＷＩＤＴＨ！", "full width!"),
        ("ｶﾞｯﾂ", "ガッツ"),
        ("①½ﬁ", "11⁄2fi"),
        ("한글", "한글"),
        ("ﾡￂ", "가"),
        ("葛\U000e0100", "葛"),
        ("שָׁלוֹם", "שלום"),
        ("مَرْحَبًا", "مرحبا"),
    ],
)
def test_case_accents_and_forms_do_not_count(text: str, folded: str) -> None:
    """Case, accents, points and compatibility forms go."""
    assert fold(text) == folded


@pytest.mark.parametrize("text", ["ガ", "प्रेमी", "ที่นี่", "数据库"])
def test_what_belongs_to_a_letter_stays(text: str) -> None:
    """Voicing marks of kana and vowel signs tell words apart, so they stay."""
    assert fold(text) == text


def test_every_character_alone_is_folded_as_unicode_says() -> None:
    """The short way for ordinary texts gives what Unicode's algorithms give, for each character."""
    for number in range(0x110000):
        char = chr(number)
        slow = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
        has_marks = any(
            unicodedata.category(c)[0] == "M" for c in unicodedata.normalize("NFD", slow)
        )
        if not has_marks and unicodedata.category(char) != "Cn":
            assert fold(char) == slow, hex(number)


@given(TRICKY)
def test_both_ways_fold_the_same(text: str) -> None:
    """A text that is folded with its places is the text that is folded without."""
    assert FoldedText.of(text).text == fold(text)


@given(TRICKY, st.data())
def test_every_place_has_an_origin(text: str, data: st.DataObject) -> None:
    """Each part of a folded text leads to a part of the original that says at least that much."""
    folded = FoldedText.of(text)
    if not folded.text:
        return
    start = data.draw(st.integers(0, len(folded.text) - 1))
    end = data.draw(st.integers(start + 1, len(folded.text)))

    begin, stop = folded.origin(start, end)

    assert 0 <= begin < stop <= len(text)
    assert folded.text[start:end] in fold(text[begin:stop])


def test_origins_are_exact() -> None:
    """Behind characters that grow and shrink the places are still those of the original."""
    text = "﷽ ﬁn Cafe\u0301 ｶﾞ 数据"
    folded = FoldedText.of(text)

    for word, original in (("cafe", "Cafe\u0301"), ("ガ", "ｶﾞ"), ("数据", "数据"), ("fin", "ﬁn")):
        start = folded.text.index(word)
        begin, stop = folded.origin(start, start + len(word))
        assert text[begin:stop] == original
