"""What somebody typed, as phrases; refusals first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.words.query import MAX_QUERY, MAX_UNITS, Query


@pytest.mark.parametrize(
    "text", ["", "   ", "👍🏽", "%", "_", "***", '""', "\\", "(-)", "'", '"', "…，。"]
)
def test_nothing_to_search_for(text: str) -> None:
    """Without a letter or a digit there is nothing to search for."""
    with pytest.raises(UnprocessableInput, match="letter or digit"):
        Query.of(text)


@pytest.mark.parametrize("text", ["a" * (MAX_QUERY + 1), "a " * MAX_QUERY, "%" * 1_000_000])
def test_too_much(text: str) -> None:
    """A query of a megabyte is refused before anybody looks at it."""
    with pytest.raises(UnprocessableInput, match="at most"):
        Query.of(text)


def test_too_many_words() -> None:
    """Words are counted as well as characters."""
    many = " ".join(str(number) for number in range(MAX_UNITS + 1))

    with pytest.raises(UnprocessableInput, match="words"):
        Query.of(many)


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Hello  WORLD hello", (("hello",), ("world",))),
        ('say "hello world"', (("say",), ("hello", "world"))),
        ("“你好，世界”", (("你好", "世界"),)),
        ('open "quote', (("open",), ("quote",))),
        ("用Python写", (("用",), ("python",), ("写",))),
        ('"GPT-4模型"', (("gpt", "4", "模型"),)),
        ('foo"bar', (("foo",), ("bar",))),
        ("multi-agent", (("multi",), ("agent",))),
        ("NEAR(a b)", (("near",), ("a",), ("b",))),
        ("a OR b NOT c*", (("a",), ("or",), ("b",), ("not",), ("c",))),
    ],
)
def test_phrases(text: str, phrases: tuple[tuple[str, ...], ...]) -> None:
    """Words stand alone, what is quoted stands together, and nothing is an operator."""
    assert Query.of(text).phrases == phrases


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("数", (("数",),)),
        ("数据", (("数据",),)),
        ("数据库", (("数据", "据库"),)),
        ('"hello world"', (("hello", "world"),)),
        ('"GPT-4模型 is new"', (("gpt", "4"), ("模型",), ("is", "new"))),
    ],
)
def test_needles(text: str, needles: tuple[tuple[str, ...], ...]) -> None:
    """The index is asked for words, pairs and single characters, each phrase in its parts."""
    assert Query.of(text).needles == needles


@pytest.mark.parametrize(
    ("text", "content", "found"),
    [
        ("cafe", "Le Café, ein CAFE\u0301", ["Café", "CAFE\u0301"]),
        ("数据库", "分布式数据库系统", ["数据库"]),
        ("数据 据库", "数据库", ["数据库"]),
        ("ガ", "ｶﾞとカ", ["ｶﾞ"]),
        ('"hello world"', "Hello, World! hello", ["Hello, World"]),
        ("fin", "ﬁn final", ["ﬁn"]),
        ("b a", "a b a", ["a", "b", "a"]),
        ("absent", "nothing", []),
    ],
)
def test_highlights(text: str, content: str, found: list[str]) -> None:
    """Finds are told as spans of the original text, in order and apart."""
    spans = Query.of(text).highlights(content)

    assert [content[start:end] for start, end in spans] == found


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_only_text(before: str, after: str) -> None:
    """Whatever stands around a word, a query for that word finds it and marks nothing else."""
    content = f"{before} needle9 {after}"
    query = Query.of("NEEDLE9")

    assert query.matches(content)
    assert all(content[s:e].casefold().strip() for s, e in query.highlights(content))


@given(st.text('ab 数据库é"-用', max_size=12), st.text('ab 数据库é"-用', max_size=20))
def test_what_matches_is_highlighted(text: str, content: str) -> None:
    """A message that matches has something to highlight, and what is highlighted matches."""
    try:
        query = Query.of(text)
    except UnprocessableInput:
        return
    spans = query.highlights(content)

    if query.matches(content):
        assert spans
    assert spans == sorted(spans)
