"""ZIP archives written front to back: every reader opens them, and none opens half of one."""

import io
import shutil
import struct
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from officeai_proxy.formats.writing import zip_stream
from officeai_proxy.formats.writing.zip_stream import ZipStream

MOMENT = datetime(2026, 11, 20, 19, 54, 53, tzinfo=UTC)


def archive(*, is_zip64: bool = True) -> bytes:
    """One file that was there, one in pieces, one without anything."""
    stream = ZipStream()
    pieces = [
        stream.whole("会话/whole.txt", b"whole " * 1000, MOMENT),
        stream.begin("pieces.txt", MOMENT, is_zip64=is_zip64),
        *[stream.add(b"piece " * 1000) for _ in range(3)],
        stream.end(),
        stream.whole("empty", b"", datetime(1970, 1, 1, tzinfo=UTC)),
        *stream.finish(),
    ]
    stream.close()
    return b"".join(pieces)


@pytest.mark.parametrize("is_zip64", [True, False])
def test_python_reads_it(*, is_zip64: bool):
    """Names, times, sizes and checksums are right, and text is packed."""
    with zipfile.ZipFile(io.BytesIO(archive(is_zip64=is_zip64))) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["会话/whole.txt", "pieces.txt", "empty"]
        assert opened.read("会话/whole.txt") == b"whole " * 1000
        assert opened.read("pieces.txt") == b"piece " * 3000
        assert opened.read("empty") == b""
        info = opened.getinfo("pieces.txt")
        assert info.date_time == (2026, 11, 20, 19, 54, 52)
        assert info.compress_size < info.file_size / 10
        assert info.external_attr >> 16 == 0o100644


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_reads_it(tmp_path: Path):
    """Info-ZIP finds nothing to complain about, also without the directory's help."""
    file = tmp_path / "a.zip"
    file.write_bytes(archive())

    tested = subprocess.run(["unzip", "-t", file], capture_output=True, text=True)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "No errors detected" in tested.stdout


def test_half_an_archive_is_none():
    """Without its last byte it does not open."""
    data = archive()
    for end in (len(data) - 1, len(data) - 60, len(data) // 2):
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(data[:end]))


def test_numbers_beyond_32_bits(monkeypatch: pytest.MonkeyPatch):
    """Large sizes, places and counts go into the fields of zip64; shown with small limits."""
    monkeypatch.setattr(zip_stream, "_FULL_16", 2)
    data = archive()

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert len(opened.namelist()) == 3
    assert b"PK\x06\x06" in data
    assert b"PK\x06\x07" in data


def test_more_files_than_16_bits_count():
    """Seventy thousand of them are all there."""
    stream = ZipStream()
    pieces = [stream.whole(f"{number}", b"x", MOMENT) for number in range(70_000)]
    data = b"".join([*pieces, *stream.finish()])
    stream.close()

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert len(opened.namelist()) == 70_000
        assert opened.read("69999") == b"x"


def test_a_file_beyond_four_gigabytes():
    """Its sizes have eight bytes, behind the file and in the directory; this one is made up."""
    stream = ZipStream()
    packed = [stream.begin("large", MOMENT), stream.add(b"x")]
    assert stream._entry is not None
    stream._entry.size += 5 << 32
    packed += [stream.end(), stream.whole("after", b"x", MOMENT)]
    data = b"".join([*packed, *stream.finish()])
    stream.close()

    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.getinfo("large").file_size == (5 << 32) + 1
        assert opened.read("after") == b"x"
    assert (b"PK\x07\x08" + data[data.index(b"PK\x07\x08") + 4 :])[16:24] == struct.pack(
        "<Q", (5 << 32) + 1
    )


def test_only_what_was_begun_goes_on():
    """There is no file to add to before the first."""
    stream = ZipStream()

    with pytest.raises(ValueError, match="begun"):
        stream.add(b"x")
    stream.close()
