"""What a search asks the index, in each database's words."""

import pytest

from officeai_proxy.storage.search.documents import (
    MAX_BYTES,
    MAX_PLACES,
    MAX_REPEATS,
    TOO_RICH,
    Document,
    Entry,
    fts5_text,
    role_token,
    user_token,
    workspace_token,
)
from officeai_proxy.storage.search.queries import fts5_query, set_query, ts_query, ways, windows
from officeai_proxy.words.query import Query


def test_names_never_meet() -> None:
    """No workspace, user and role share a token, whatever they are called."""
    tokens = {
        workspace_token("a"),
        workspace_token("b"),
        user_token("a", "b"),
        user_token("b", "a"),
        user_token("ab", ""),
        role_token("a"),
    }

    assert len(tokens) == 6
    assert all(token.startswith("_") and token[1:].isalnum() for token in tokens)


def test_the_wall_is_in_the_query() -> None:
    """Every query has the token of the workspace, or of the user, beside its words."""
    query = Query.of("hello 数据库")

    everybody, rich = ways(query, [None], workspace="w", user=None, role=None)
    one, alone = ways(query, [None], workspace="w", user="u", role="user")

    assert everybody == [(workspace_token("w"),), ("hello",), ("数据", "据库")]
    assert rich == [(workspace_token("w"),), (TOO_RICH,)]
    assert one == [(user_token("w", "u"),), (role_token("user"),), ("hello",), ("数据", "据库")]
    assert alone == [(user_token("w", "u"),), (role_token("user"),), (TOO_RICH,)]


def test_each_way_in_which_words_are_hidden() -> None:
    """Sealed words are asked for beside plain ones; whose they are is never sealed."""
    found = ways(
        Query.of("数据库"), [str.upper, "x".__add__, None], workspace="w", user=None, role=None
    )

    whose = (workspace_token("w"),)
    assert found == [
        [whose, ("数据", "据库")],
        [whose, ("x数据", "x据库")],
        [whose, ("数据", "据库")],
        [whose, (TOO_RICH,)],
    ]


def test_both_languages() -> None:
    """Phrases are phrases, but not in sets, and all of them must be there."""
    phrases = [("_w1",), ("数据", "据库")]

    assert set_query([*phrases, ("据库",)]) == "_w1 数据 据库"
    assert fts5_query(phrases) == '"_w1" AND "数据 据库"'
    assert ts_query(phrases) == "('_w1') & ('数据' <-> '据库')"
    assert ts_query(phrases, "_n2", "_n1").endswith(" & ('_n2' | '_n1')")


def test_windows_grow_and_end_with_everything() -> None:
    """Near comes before far, far before everywhere, and small numbers do no harm."""
    assert list(windows(1)) == [(("_n0",), 0), (("_f0",), 0), ((), 0)]
    assert list(windows(5_000_000)) == [
        (("_n1220", "_n1219"), 1219 << 12),
        (("_f38", "_f37"), 37 << 17),
        ((), 0),
    ]


def document(content: str) -> Document:
    return Document(5000, "w", "u", "user", content)


def test_documents() -> None:
    """FTS5 gets tokens as a text, PostgreSQL gets each token with its places."""
    said = document("the 数据 the " + "x " * MAX_REPEATS + "end")

    text, entry = fts5_text(said).split(), Entry.of(said)
    vector = entry.vector.split()

    assert text[3:6] == ["the", "数据", "the"]
    assert text[-4:] == ["x", "end", "数", "据"]
    assert {"the:1,3", "数据:2", "end:260", "数", "据", "_n1", "_f0"} <= set(vector)
    assert text[:3] == vector[:3]
    assert entry.long_words is None


@pytest.mark.parametrize(
    "content",
    [
        "the " * (MAX_REPEATS + 1) + "end",
        " ".join(f"w{number}" for number in range(MAX_PLACES)) + " end",
        " ".join(chr(0x4E00 + number) for number in range(MAX_PLACES + 1)) + " end",
        " ".join(f"ᚠ{'ᚢ' * 60}{number:03}" for number in range(MAX_BYTES // 190)) + " end",
    ],
    ids=["one word too often", "too many words", "too many characters", "too many bytes"],
)
def test_what_no_tsvector_can_say(content: str) -> None:
    """A message that is too long for a `tsvector` is a set of all its tokens."""
    said = document(content)
    entry = Entry.of(said)

    assert entry.vector == ""
    assert entry.long_words is not None
    tokens = entry.long_words.split()
    assert len(tokens) == len(set(tokens))
    assert set(tokens) == set(fts5_text(said).split())
    assert "end" in tokens


def test_too_many_words_for_any_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message with too many different words has a token that says so."""
    said = document(" ".join(f"w{number}" for number in range(20_000)))
    monkeypatch.setattr("officeai_proxy.words.tokens.MAX_DISTINCT", 1000)

    assert fts5_text(said).split()[3:] == [TOO_RICH]
    assert Entry.of(said) == ("", fts5_text(said))
