"""The archive: a folder a user, a file a conversation, and a manifest that is true."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from tests.passages import OPTIONS, everything, split, talk, written

from officeai_proxy.formats.registry import INNER_FORMATS


def opened(*passages: Any, **options: Any) -> zipfile.ZipFile:
    data = written("zip", passages, options=replace(OPTIONS, **options), at_once=1)
    return zipfile.ZipFile(io.BytesIO(data))


def test_names_lead_nowhere_and_are_never_the_same():
    """Titles and users of any kind; unpacked, everything is below one folder."""
    titles = ["../../etc/passwd", "/root", "a\\b", "con", "", "same", "same", "标题：一", "x" * 300]
    users = ["..", "/", "a:b", "a*b", "nul", "张三", "alice", "alice", "\u202e"]
    passages = [
        talk("x", title=title, user_identifier=user, session_id=f"s{n}")
        for n, (title, user) in enumerate(zip(titles, users, strict=True))
    ]

    with opened(*passages) as archive:
        names = archive.namelist()

    assert len({name.casefold() for name in names}) == len(names) == 10
    for name in names[:-1]:
        folder, file = name.split("/")
        assert not {folder, file} & {"", ".", ".."}
        assert not set(name) & set('\\:*?"<>|')
        assert file.endswith(".md")
        assert len(file) < 80
    assert names[7] == "张三/000006 same.md" or "张三/000006 same.md" in names
    assert "alice/000008 标题：一.md" in names
    assert len({name.split("/")[0] for name in names[:-1]}) == 8


def test_the_manifest_tells_what_is_there():
    """Names, counts, sizes and checksums of all files; it comes last."""
    passages = [talk("a", "b"), *split(everything(), 2)]
    with opened(*passages, filters={"user_identifier": "alice"}) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.namelist()[-1] == "manifest.json"
        files = [archive.read(file["name"]) for file in manifest["files"]]

    assert list(manifest) == [
        "format", "created_at", "filters", "conversations", "messages", "files", "complete",
    ]  # fmt: skip
    assert manifest["complete"] is True
    assert manifest["filters"] == {"user_identifier": "alice"}
    assert (manifest["conversations"], manifest["messages"]) == (2, 11)
    assert [file["messages"] for file in manifest["files"]] == [2, 9]
    assert [file["bytes"] for file in manifest["files"]] == [len(data) for data in files]
    assert [file["sha256"] for file in manifest["files"]] == [
        hashlib.sha256(data).hexdigest() for data in files
    ]


def test_the_manifest_says_whose_each_conversation_is():
    """Beside its name, which does not tell: no system takes every title and every user for one."""
    passages = [talk("x", session_id="s/1", user_identifier="a:b"), *split(everything(), 2)]
    with opened(*passages) as archive:
        files = json.loads(archive.read("manifest.json"))["files"]

    names = ["name", "conversations", "messages", "bytes", "sha256", "user_identifier"]
    assert list(files[0]) == [*names, "session_id"]
    whole = everything().conversation
    assert (files[1]["user_identifier"], files[1]["session_id"]) == (
        whole.user_identifier,
        whole.session_id,
    )
    assert (files[0]["user_identifier"], files[0]["session_id"]) == ("a:b", "s/1")


@pytest.mark.parametrize("inner", INNER_FORMATS)
def test_each_file_is_what_an_export_of_it_alone_would_be(inner: str):
    """In any format, whether it came at once or in pieces."""
    options = replace(OPTIONS, inner=inner)
    with opened(talk("a", "b"), *split(everything(), 2), inner=inner) as archive:
        whole, pieces, _ = (archive.read(name) for name in archive.namelist())

    assert whole == written(inner, [talk("a", "b")], options=options)
    assert pieces == written(inner, split(everything(), 2), options=options, at_once=1)


def test_one_that_breaks_off_does_not_open():
    """Without the end there is no archive."""
    data = written("zip", [talk("a")])

    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(data[:-1]))
