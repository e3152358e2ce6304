"""What an index holds of a text, however long it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.words import parts, tokens
from officeai_proxy.words.folding import fold
from officeai_proxy.words.parts import PART, spans
from officeai_proxy.words.tokens import tokens_of
from officeai_proxy.words.units import pairs, units


def test_nothing() -> None:
    """A text without words has no tokens."""
    assert list(tokens_of("👍 …").ordered) == []


def test_words_pairs_and_single_characters() -> None:
    """Words and pairs are in order; each character of a run is there once by itself."""
    found = tokens_of("用Python写数据，数据库")

    assert list(found.ordered) == ["python", "写数", "数据", "数据", "据库"]
    assert list(found.singles) == ["用", "写", "数", "据", "库"]


def test_no_token_begins_with_an_underscore() -> None:
    """Nobody can write a text whose words look like the tokens of a workspace."""
    found = tokens_of("_w0123 __ _用户_ ＿w1 _r数")

    assert not [token for token in (*found.ordered, *found.singles) if token and "_" in token]


def test_nothing_is_left_out() -> None:
    """The last words of a long text are indexed in their place, in any script."""
    english = tokens_of("word " * 300_000 + "late one")
    chinese = tokens_of("字" * 300_000 + " endzzz 结尾专有词")

    assert list(english.ordered[-3:]) == ["word", "late", "one"]
    assert len(english.ordered) == 300_002
    assert list(chinese.ordered[-6:]) == ["字字", "endzzz", "结尾", "尾专", "专有", "有词"]
    assert len(chinese.ordered) == 299_999 + 5
    assert list(chinese.singles) == ["字", "结", "尾", "专", "有", "词"]


def test_too_many_different_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a text with too many different words none is told."""
    text = " ".join(f"w{number}" for number in range(20_000))
    monkeypatch.setattr(tokens, "MAX_DISTINCT", 20_000)
    assert len(tokens_of(text).ordered) == 20_000
    monkeypatch.setattr(tokens, "MAX_DISTINCT", 19_999)
    found = tokens_of(text)

    assert found.is_too_rich
    assert not found.ordered
    assert not found.singles


def test_a_word_is_never_cut() -> None:
    """A word without an end is one word, and what follows it is found."""
    found = tokens_of("x" * (3 * PART) + " end")

    assert list(found.ordered) == ["x" * 64, "end"]


awkward = st.text(
    st.sampled_from("aB9 _-\n。，・の数据库カ가é\u0301\u3099ﾀﾞ㍿ﬁЖ\uf900𠮷각\u11a8ク゛नी\0①ß")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


@given(awkward)
def test_parts_fold_as_the_whole(text: str) -> None:
    """Wherever a text is cut, its parts are folded as they are in it, and make the same tokens."""
    found = [(run, word) for run, word in units(fold(text))]
    ordered = [token for run, word in found for token in ([word] if word else pairs(run))]
    singles = list(dict.fromkeys("".join(run for run, _ in found)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", 1)
        patch.setattr(tokens, "PART", 0)
        pieces = list(spans(text))
        cut = tokens_of(text)

    assert "".join(text[start:end] for start, end in pieces) == text
    assert "".join(fold(text[start:end]) for start, end in pieces) == fold(text)
    assert (list(cut.ordered), list(cut.singles)) == (ordered, singles)
