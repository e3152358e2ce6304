"""The list of formats, and what every one of them promises."""

from pathlib import Path

import pytest
from tests.passages import everything, head, split, talk, written

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.formats.registry import (
    FORMATS,
    INNER_FORMATS,
    format_of,
    guess_format,
    is_whole_tree,
)
from officeai_proxy.formats.writing.passages import Passage

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize("name", ["", "pdf", "JSON", "json "])
def test_an_unknown_format_is_refused_with_those_that_there_are(name: str):
    """The message has every name that would have worked."""
    with pytest.raises(UnprocessableInput) as refused:
        format_of(name)

    assert all(known in refused.value.message for known in FORMATS)
    assert refused.value.param == "format"


def test_a_zip_is_in_no_zip():
    """Everything else may be."""
    with pytest.raises(UnprocessableInput) as refused:
        format_of("zip", param="inner")

    assert refused.value.param == "inner"
    assert set(INNER_FORMATS) == set(FORMATS) - {"zip"}


def test_only_our_own_formats_have_branches():
    """`json` and `jsonl` are lossless, and so is an archive of them."""
    assert {name for name in FORMATS if is_whole_tree(name, inner=None)} == {"json", "jsonl"}
    assert is_whole_tree("zip", inner="json")
    assert not is_whole_tree("zip", inner="csv")


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("all.zip", "zip"),
        ("a.openai.jsonl", "openai"),
        ("a.jsonl", "jsonl"),
        ("A.HTML", "html"),
        ("a.txt.gz", None),
        ("-", None),
    ],
)
def test_a_name_tells_its_format(name: str, guessed: str | None):
    """The longest end that fits counts."""
    assert guess_format(name) == guessed


@pytest.mark.parametrize("name", ["json", "jsonl", "openai", "csv", "md", "txt", "html"])
def test_a_conversation_with_everything_looks_like_this(name: str):
    """The file is, byte for byte, the one that somebody has looked at."""
    golden = GOLDEN / f"everything{FORMATS[name].suffix}"

    assert written(name, [everything()]) == golden.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_passages_leave_no_trace(name: str, size: int):
    """However a conversation is cut into passages, the same file comes out."""
    whole = [talk("a", "b", "c"), everything(), Passage(head(3), []), talk("d", "e")]
    pieces = [piece for passage in whole for piece in split(passage, size)]
    if name in ("zip", "xlsx", "parquet"):
        # Where compressed data are cut may show in them, but not in what they hold.
        assert len(written(name, pieces, at_once=1)) > 0
    else:
        assert written(name, pieces, at_once=1) == written(name, whole)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_again_gives_the_same_file(name: str):
    """Nothing of the moment or of chance is in it, but for the time it is told."""
    passages = [everything(), talk("x")]

    assert written(name, passages) == written(name, passages)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_to_export_is_a_file_too(name: str):
    """An empty workspace gives a valid file of the format, with nothing in it."""
    data = written(name, [])

    assert (data == b"") == (name in ("jsonl", "openai", "md", "txt"))
