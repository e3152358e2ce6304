"""The manifest of an archive of ours: what it says of each file, and what is not believed."""

import json
from io import BytesIO
from typing import Any

import pytest

from officeai_proxy.formats.reading.manifest import FORMAT, Owner, owners_in

ENTRY = {"name": "ann/1.md", "conversations": 1, "user_identifier": "ann", "session_id": "s1"}


def read(*entries: object, **more: Any) -> dict[str, Owner]:
    """The owners in a manifest with these entries."""
    told = {"format": FORMAT, "filters": {}, "files": list(entries), "complete": True, **more}
    return owners_in(BytesIO(json.dumps(told).encode()))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"hello", b'{"files": 1}', b'{"format": "officeai-archive", "files"']
)
def test_what_is_no_manifest_names_nobody(data: bytes) -> None:
    """Nothing is read out of what is damaged, or something else."""
    assert owners_in(BytesIO(data)) == {}


def test_the_manifest_of_another_program_names_nobody() -> None:
    """What its fields mean there is not known."""
    assert read(ENTRY, format="other") == {}


@pytest.mark.parametrize(
    "more",
    [
        {"name": 1},
        {"session_id": None},
        {"session_id": ""},
        {"user_identifier": ["ann"]},
        {"conversations": 2},
        {"name": "x" * 20_000},
    ],
)
def test_an_entry_that_does_not_say_it_names_nobody(more: dict[str, Any]) -> None:
    """And its neighbours do; so it is with archives of earlier versions."""
    other = {**ENTRY, "name": "ann/2.md"}

    assert read({**ENTRY, **more}, 7, other) == {"ann/2.md": Owner("ann", "s1")}


def test_each_file_has_its_owner() -> None:
    """By the name of the file."""
    entries = [{**ENTRY, "name": f"ann/{n}.md", "session_id": f"s{n}"} for n in range(1000)]

    assert read(*entries) == {f"ann/{n}.md": Owner("ann", f"s{n}") for n in range(1000)}
