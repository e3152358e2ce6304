"""What somebody typed, as phrases; refusals first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.words import parts
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
        ("진짜", "진짜ㅋㅋ ㅠㅠ", ["진짜"]),
        ("ㅋㅋ ㅠ", "ok!ㅋㅋ ㅠㅠ", ["ㅋㅋ", "ㅠ", "ㅠ"]),
        (
            "한글",
            "\u1112\u1161\u11ab\u1100\u1173\u11af이",
            ["\u1112\u1161\u11ab\u1100\u1173\u11af"],
        ),
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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("word " * 40_000, " word" * 40_000),
        ("字" * 200_000, "字" * 200_000),
        ("слово, é ﬁ " * 20_000, " نص 한글" * 20_000),
        ("x" * 200_000 + " ", " " + "ж" * 2_000_000),
        ("े ि " * 70_000, "\u0301" * 50_000),
        ("ｶﾞ①㍿" * 50_000, "🙂" * 50_000),
    ],
)
def test_deep_in_a_long_text(before: str, after: str) -> None:
    """A find far back is marked where it is, with those that follow it soon."""
    content = f"{before}Éndzzz, 结尾专有词 endzzz{after}"
    query = Query.of('"endzzz 结尾专有" 词')
    spans = query.highlights(content)

    assert query.matches(content)
    assert [content[start:end] for start, end in spans] == ["Éndzzz, 结尾专有", "词"]
    assert spans[0][0] == len(before)
    assert Query.of("absent 结尾").highlights(content) == [(len(before) + 8, len(before) + 10)]
    assert Query.of("absent").highlights(content) == []


def test_marks_of_a_long_text_are_few() -> None:
    """Of a word that comes a million times those near the first one are marked."""
    spans = Query.of("word").highlights("no " * 300_000 + "word " * 1_000_000)

    assert spans[0] == (900_000, 900_004)
    assert 32 < len(spans) < 20_000


def test_a_gap_without_an_end() -> None:
    """Signs between the words of a phrase are passed over at once, however many they are."""
    query = Query.of('"a b"')
    gap = "-_。 " * 250_000

    assert query.matches(f"a{gap}b")
    assert not query.matches(f"a{gap}c b")
    assert query.highlights(f"x a{gap}b")[0] == (2, 4 + len(gap))


@given(st.text("ab 数据é-", max_size=30), st.text('ab 数据é-"', max_size=8))
def test_a_long_text_is_like_a_short_one(content: str, text: str) -> None:
    """The first find is the same, and so is whether there is one, wherever a text is cut."""
    try:
        query = Query.of(text)
    except UnprocessableInput:
        return
    whole = query.matches(content), query.highlights(content)[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", 1)
        patch.setattr("officeai_proxy.words.query.PART", 0)
        assert (query.matches(content), query.highlights(content)[:1]) == whole
