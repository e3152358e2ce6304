"""Our own JSON: lossless, whole, and finished only when it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.passages import (
    CALL_ID,
    OPTIONS,
    everything,
    head,
    json_file,
    line,
    split,
    talk,
    written,
)

from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.formats.writing.passages import Options, Passage
from officeai_proxy.wire.cleantext import clean_text


def test_a_file_that_breaks_off_is_no_json():
    """Whatever is missing at the end, nobody takes the rest for the whole."""
    data = written("json", [everything(), talk("a", "b")])

    for end in range(0, len(data) - 1, 7):
        try:
            json.loads(data[:end])
        except ValueError:
            continue
        raise AssertionError(end)
    assert b'"complete"' not in data[: -len(b'"complete":true}\n')]


def test_the_order_of_keys_is_fixed():
    """`complete` is the last word, and the counts are those of the file."""
    file = json_file(everything(), talk("a"), Passage(head(2), []))

    assert list(file) == ["format", "version", "conversations", "counts", "complete"]
    assert file["counts"] == {"conversations": 3, "messages": 10}
    assert (file["format"], file["version"]) == ("officeai-conversations", 1)


def test_messages_are_numbered_in_the_order_of_storing():
    """Ids of a database are nowhere; branches point to their parents."""
    [conversation] = json_file(everything())["conversations"]

    assert [message["id"] for message in conversation["messages"]] == list(range(1, 10))
    assert [message["parent_id"] for message in conversation["messages"]] == [
        None, 1, 2, 3, 4, 5, 2, 6, 8,
    ]  # fmt: skip
    assert conversation["leaf"] == 9


def test_gaps_between_ids_do_not_show():
    """Other conversations' messages have ids in between."""
    message = {"role": "user", "content": "x"}
    lines = [line(message, 5), line(message, 90, 5), line(message, 91, 5), line(message, 700, 90)]

    [conversation] = json_file(*split(Passage(head(), lines), 1))["conversations"]

    assert [message["parent_id"] for message in conversation["messages"]] == [None, 1, 1, 2]


def test_what_follows_from_the_rest_is_left_out():
    """`raw` is there when role and content do not tell all; other keys are always there."""
    [conversation] = json_file(everything())["conversations"]
    plain, picture = conversation["messages"][:2]

    assert set(plain) == {
        "id", "parent_id", "role", "content", "model_name", "token_count", "timestamp", "metadata",
    }  # fmt: skip
    assert picture["raw"]["content"][1]["type"] == "image_url"
    assert picture["metadata"] == {"exchange_id": CALL_ID}
    assert conversation["deleted_at"] == "2026-02-01T00:00:00Z"
    assert "deleted_at" not in json_file(talk("a"))["conversations"][0]


@pytest.mark.parametrize("more", [{"content": "a\ud83d"}, {"name": "b\ud83d"}, {"role": "c\ud83d"}])
def test_half_an_emoji_is_as_an_import_leaves_it(more: dict[str, str]):
    """What is exported again after an import is the same file, byte for byte."""
    message = {"role": "user", "content": "whole", **more}
    stored = {name: clean_text(message[name]) for name in ("role", "content")}
    first = line(message, 1, **stored)
    text = written("jsonl", [Passage(head(), [first])])

    [imported] = json.loads(text)["messages"]

    plain = {"role": imported["role"], "content": imported["content"]}
    again = line(imported.get("raw", plain), 1)
    assert written("jsonl", [Passage(head(), [again])]) == text


def test_jsonl_is_a_conversation_a_line():
    """The same objects as in the document, and nothing else."""
    passages = [everything(), talk("a\nb"), Passage(head(2), [])]

    lines = written("jsonl", passages).decode().splitlines()

    assert [json.loads(text) for text in lines] == json_file(*passages)["conversations"]


@given(st.text(), st.one_of(st.none(), st.integers(), st.text()))
def test_every_text_comes_back(content: str, seed: object):
    """Half an emoji, long integers and control characters survive in `raw`."""
    message = {"role": "user", "content": content, "seed": seed}

    [conversation] = json_file(Passage(head(), [line(message, 1)]))["conversations"]

    assert conversation["messages"][0]["raw"] == message


def test_memory_for_numbers_is_given_back():
    """A long conversation leaves nothing behind when the next one begins."""
    encoder = FORMATS["json"].make(Options(exported_at=OPTIONS.exported_at))
    encoder.encode([talk(*["x"] * 100)])
    encoder.encode([talk("y")])

    assert encoder.encode([Passage(head(), [])]).endswith(b'"messages":[]}')
