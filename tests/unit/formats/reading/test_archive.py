"""ZIP files: what is in them, what is not, and what was made to do harm."""

import json
import random
import struct
import zipfile
from datetime import UTC, datetime
from io import BytesIO

import pytest
from tests.exports import CURSOR, chatgpt_conversation, own_conversation, own_json

from officeai_proxy.errors import BodyTooLarge
from officeai_proxy.formats.reading import archive
from officeai_proxy.formats.reading.files import read_items
from officeai_proxy.formats.reading.imported import Fault, Item, Reading, UnknownFile

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
READING = Reading(now=NOW, item_bytes=10**6, total_bytes=10**8)


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in entries:
            made.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def read(data: bytes, reading: Reading = READING) -> list[Item]:
    """What a file of *data* holds."""
    return list(read_items(BytesIO(data), reading))


def sessions(items: list[Item]) -> list[str | None]:
    """The session of each conversation, None for a fault."""
    return [None if isinstance(item, Fault) else item.session_id for item in items]


def an_export(session: str) -> bytes:
    """A file of one conversation of our own."""
    return own_json(own_conversation(session))


@pytest.mark.parametrize("keep", [4, 30, 200, -1, -10, -30])
def test_a_cut_archive_is_refused(keep: int) -> None:
    """A ZIP file has its directory at the end; without it nothing is known."""
    data = zipped(("a.json", an_export("s1")))

    with pytest.raises(UnknownFile, match="damaged"):
        read(data[:keep])


def test_damage_is_told_or_harmless() -> None:
    """Any single wrong byte gives a reason, a refusal, or the conversation itself."""
    data = zipped(("a.json", an_export("s1")), ("b.json", an_export("s2")))
    chance = random.Random(1)

    for _ in range(300):
        damaged = bytearray(data)
        damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            items = read(bytes(damaged))
        except (UnknownFile, BodyTooLarge):
            continue
        assert set(sessions(items)) <= {"s1", "s2", None}


def test_an_archive_without_conversations_is_refused() -> None:
    """Pictures, texts and other JSON are no conversations; nor is nothing."""
    foreign = zipped(("manifest.json", b'{"format": "other", "files": []}'))
    for data in (zipped(), foreign, zipped(("a.png", b"\x89PNG"), ("b.json", b'{"files": []}'))):
        with pytest.raises(UnknownFile, match="no entry with a conversation"):
            read(data)


def test_what_is_no_conversation_is_left_out() -> None:
    """Of our own archive and of ChatGPT's only the conversations are read, whatever their names."""
    items = read(
        zipped(
            ("alice/", b""),
            ("manifest.json", b'{"format": "officeai-export", "files": [1], "complete": true}'),
            ("alice/talk.txt", an_export("s1")),
            ("conversations.json", json.dumps([chatgpt_conversation()]).encode()),
            ("message_feedback.json", b'[{"id": 1}, {"id": 2}]'),
            ("user.json", b'{"id": "user-1"}'),
            ("chat.html", b"<html>**User**</html>"),
            ("bob/chat.md", CURSOR.encode()),
        )
    )

    assert sessions(items)[:2] == ["s1", "c0ffee"]
    assert len(items) == 3


def test_names_lead_nowhere() -> None:
    """Names that point outside, and the same name twice, are read like all others."""
    names = ["../../etc/passwd", "/abs.json", "C:\\x.json", "a\0b.json", "x/../../y", "x" * 5000]

    items = read(zipped(*[(name, an_export(f"s{n}")) for n, name in enumerate(names)]))

    assert sessions(items) == [f"s{n}" for n in range(len(names))]
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(("a", an_export("s1")), ("a", an_export("s2")))
    assert sessions(read(twice)) == ["s1", "s2"]


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (zipfile.ZIP_STORED, ["s1"]),
        (zipfile.ZIP_DEFLATED, ["s1"]),
        (zipfile.ZIP_BZIP2, [None]),
        (zipfile.ZIP_LZMA, [None]),
    ],
)
def test_what_programs_write_is_unpacked(method: int, told: list[str | None]) -> None:
    """Entries that are stored or deflated are read; others say how to make the archive."""
    assert sessions(read(zipped(("a.json", an_export("s1")), method=method))) == told


def test_what_cannot_be_unpacked_fails_alone() -> None:
    """An entry that is encrypted, or packed in an unknown way, is told by its name."""
    data = bytearray(zipped(("a.json", an_export("s1")), ("b.json", an_export("s2"))))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    encrypted, unknown = bytearray(data), bytearray(data)
    encrypted[second + 8] |= 1
    unknown[second + 10] = 99

    assert "b.json: the entry is encrypted" in str(read(bytes(encrypted))[1])
    assert "b.json: the entry is not packed with" in str(read(bytes(unknown))[1])
    assert sessions(read(bytes(encrypted))) == ["s1", None]


def test_a_damaged_conversation_fails_alone() -> None:
    """What was an export of ours and is cut is told; its neighbour comes."""
    items = read(zipped(("a.json", an_export("s1")[:-40]), ("b.json", an_export("s2"))))

    assert sessions(items) == ["s1", None, "s2"]
    assert "a.json: the file is damaged or not whole" in str(items[1])


def test_too_much_unpacked_is_refused() -> None:
    """What is promised is added up before anything is unpacked."""
    bomb = zipped(("a", bytes(400_000)), ("b", bytes(700_000)))

    with pytest.raises(BodyTooLarge, match="OFFICEAI_MAX_IMPORT_MB"):
        read(bomb, Reading(now=NOW, item_bytes=10**6, total_bytes=10**6))


def test_a_bomb_fails_alone() -> None:
    """An entry that would grow out of proportion is not unpacked."""
    items = read(zipped(("bomb.json", b"[" + b" " * 20_000_000), ("a.json", an_export("s1"))))

    assert sessions(items) == [None, "s1"]
    assert "bomb.json: the entry would become more than 500 times larger" in str(items[0])


def test_an_entry_gives_no_more_than_it_promises() -> None:
    """A directory that lies about sizes does not make more come out."""
    data = bytearray(
        zipped(("a.json", an_export("s1") + b" " * 50_000), ("b.json", an_export("s2")))
    )
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 100)

    items = read(bytes(data))

    assert sessions(items)[-1] == "s2"
    assert "s1" not in sessions(items)


@pytest.mark.parametrize("place", [0, 2**63, 2**64 - 1])
def test_a_64_bit_end_that_leads_nowhere_is_refused(place: int) -> None:
    """A directory far outside the file is damage, and not a failure of ours."""
    data = bytearray(zipped(("a.json", an_export("s1"))))
    end = data.rindex(b"PK\x05\x06")
    data[end:end] = b"PK\x06\x07" + struct.pack("<IQI", 0, place, 1)

    with pytest.raises((UnknownFile, BodyTooLarge)):
        read(bytes(data))


@pytest.mark.parametrize("is_honest", [True, False])
def test_too_many_entries_are_refused(is_honest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of entries is counted, whatever the end of the file says of it."""
    monkeypatch.setattr(archive, "MAX_ENTRIES", 50)
    data = bytearray(zipped(*[(str(n), b"{}") for n in range(60)]))
    if not is_honest:
        end = data.rindex(b"PK\x05\x06")
        data[end + 8 : end + 12] = struct.pack("<HH", 1, 1)

    with pytest.raises(BodyTooLarge, match="more than 50 entries"):
        read(bytes(data))


def test_the_64_bit_form_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with so many entries that its end has the 64-bit form is read like others."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)

    assert sessions(read(zipped(("a", an_export("s1")), ("b", an_export("s2"))))) == ["s1", "s2"]
