"""What an index holds of a text, and where it stops."""

from officeai_proxy.words import tokens
from officeai_proxy.words.tokens import (
    MAX_BYTES,
    MAX_REPEATS,
    MAX_TEXT,
    MAX_TOKENS,
    tokens_of,
    whole_words,
)


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


def test_much_text_stops() -> None:
    """The first words of a long text are indexed, the others are not, in any script."""
    english = tokens_of("word " * MAX_TOKENS + "late")
    chinese = tokens_of("数据库" * MAX_TOKENS)

    assert len(english.ordered) == len(chinese.ordered) == MAX_TOKENS
    assert "late" not in english.ordered


def test_a_token_counts_so_often_and_no_oftener() -> None:
    """What comes too often leaves a gap, so that what stands behind keeps its place."""
    found = tokens_of("the " * (MAX_REPEATS + 1) + "end")

    assert list(found.ordered[-3:]) == ["the", None, "end"]


def test_bytes_are_bounded() -> None:
    """However long its words are, an index's entry stays below a megabyte."""
    text = " ".join(
        f"{number:064}".translate({48 + n: 0x16A0 + n for n in range(10)}) for number in range(9000)
    )

    found = tokens_of(text[:MAX_TEXT])

    assert 1000 < len(found.ordered) < 9000
    assert sum(len(token.encode()) + 6 for token in found.ordered if token) <= MAX_BYTES


def test_no_half_word_at_the_end() -> None:
    """A text that is cut is cut between words."""
    text = "x" + " y" * (MAX_TEXT // 2 - 2) + " wholeword"

    assert whole_words(text).endswith(" y ")
    assert len(whole_words("数" * (MAX_TEXT + 5))) == MAX_TEXT
    assert whole_words("short") == "short"


def test_a_huge_text_is_looked_at_in_part(monkeypatch) -> None:
    """Twenty megabytes are not folded for the sake of the first words."""
    seen = []
    fold = tokens.fold
    monkeypatch.setattr(tokens, "fold", lambda text: seen.append(len(text)) or fold(text))

    tokens_of("à " * 10_000_000)

    assert seen == [MAX_TEXT]
