"""Whatever people type and write, the search reads it, finds in it and shows a piece of it."""

from hypothesis import strategies as st
from tests.fuzz.mangling import every_seed, fuzzed, mangled, seeds, tried

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.words.excerpt import LENGTH, excerpt
from officeai_proxy.words.query import MAX_QUERY, MAX_UNITS, Query
from officeai_proxy.words.tokens import tokens_of

TEXTS = [seed.decode() for seed in seeds("queries")]


def check_query(text: str, contents: list[str]) -> None:
    """A query or UnprocessableInput; what it says it finds is there, and can be shown."""
    query, refused = tried(lambda: Query.of(text), UnprocessableInput)
    if query is None:
        assert refused is not None
        assert refused.param == "q"
        return
    assert len(text) <= MAX_QUERY
    assert 1 <= sum(map(len, query.phrases)) <= MAX_UNITS
    assert query.needles
    for content in contents:
        check_finds(query, content)


def check_finds(query: Query, content: str) -> None:
    """Spans are in order, apart and in the text; whoever matches has all tokens in the index."""
    spans = query.highlights(content)
    end = 0
    for start, stop in spans:
        assert end <= start < stop <= len(content)
        end = stop
    piece = excerpt(content, spans)
    assert len(piece.text) <= LENGTH + 2
    for start, stop in piece.highlights:
        assert 0 <= start < stop <= len(piece.text)
    if query.matches(content):
        assert spans
        tokens = tokens_of(content)
        held = {*tokens.ordered, *tokens.singles}
        for needle in query.needles:
            assert set(needle) <= held, needle


def check_tokens(content: str) -> None:
    """Tokens are letters and digits, which every database takes as they are."""
    tokens = tokens_of(content)
    for token in {*tokens.ordered, *tokens.singles}:
        assert token
        assert not any(char.isspace() or char in "\"'\\%*():^&|!<>-+\0" for char in token)


@every_seed("queries")
def test_known_queries(data: bytes) -> None:
    """The corpus, searched for in itself."""
    text = data.decode()
    check_tokens(text)
    check_tokens(text * 300)
    check_query(text, TEXTS)


@fuzzed(data=mangled("queries"), more=st.text(max_size=60))
def test_queries(data: bytes, more: str) -> None:
    """Mangled queries, in mangled texts."""
    text = data.decode("utf-8", "replace")
    check_tokens(text)
    check_query(text, [text, text + more, more + text, f"x{text}x", more])


@fuzzed(
    text=st.text(st.characters(categories=["L", "M", "N", "P", "Z", "Cf", "Cc", "So"]), max_size=50)
)
def test_any_text(text: str) -> None:
    """Letters of all scripts, with their accents, in any order."""
    check_tokens(text)
    check_query(text, [text, text.upper(), f"{text} {text}"])
