"""What a search asks the index, in each database's words."""

from officeai_proxy.storage.search_index import (
    Document,
    fts5_text,
    role_token,
    user_token,
    vector_text,
    workspace_token,
)
from officeai_proxy.storage.search_queries import fts5_query, needles, ts_query, windows
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

    everybody = needles(query, workspace="w", user=None, role=None)
    one = needles(query, workspace="w", user="u", role="user")

    assert everybody == [(workspace_token("w"),), ("hello",), ("数据", "据库")]
    assert one == [(user_token("w", "u"),), (role_token("user"),), ("hello",), ("数据", "据库")]


def test_both_languages() -> None:
    """Phrases are phrases, and all of them must be there."""
    phrases = [("_w1",), ("数据", "据库")]

    assert fts5_query(phrases) == '"_w1" AND "数据 据库"'
    assert ts_query(phrases) == "('_w1') & ('数据' <-> '据库')"
    assert ts_query(phrases, "_n2", "_n1").endswith(" & ('_n2' | '_n1')")


def test_windows_grow_and_end_with_everything() -> None:
    """Near comes before far, far before everywhere, and small numbers do no harm."""
    assert list(windows(1)) == [("_n0",), ("_f0",), ()]
    assert list(windows(5_000_000)) == [("_n1220", "_n1219"), ("_f38", "_f37"), ()]


def test_documents() -> None:
    """FTS5 gets tokens and gaps as a text, PostgreSQL gets each token with its places."""
    document = Document(5000, "w", "u", "user", "the 数据 the " + "x " * 257 + "end")

    text, vector = fts5_text(document).split(), vector_text(document).split()

    assert text[3:6] == ["the", "数据", "the"]
    assert text[-4:] == ["_", "end", "数", "据"]
    assert {"the:1,3", "数据:2", "end:261", "数", "据", "_n1", "_f0"} <= set(vector)
    assert text[:3] == vector[:3]
