"""A temporary file whose bytes on the disk say nothing."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.crypto.scratch import CHUNK, ScratchFile, scratch_file


def test_what_was_read_is_written_no_more() -> None:
    """A chunk is sealed once; to seal it again with the same number would give it away."""
    file = ScratchFile(None, memory=0)
    file.write(b"x" * (CHUNK + 1))
    file.seek(0)
    file.read(5)
    file.seek(0, io.SEEK_END)

    with pytest.raises(ValueError, match="no more"):
        file.write(b"y")
    file.close()


def test_there_is_no_place_before_the_beginning() -> None:
    """A seek to nowhere is refused, as with other files."""
    with scratch_file() as file, pytest.raises(ValueError, match="beginning"):
        file.seek(-1, io.SEEK_END)


def test_a_changed_file_does_not_open() -> None:
    """What somebody wrote into the file is not taken for what was in it."""
    file = ScratchFile(None, memory=0)
    file.write(b"x" * CHUNK * 2)
    assert file._file is not None
    os.pwrite(file._file.fileno(), b"!", 5)
    file.seek(0)

    with pytest.raises(Exception, match=r"^$"):
        file.read(1)
    file.close()


def test_nothing_of_it_is_on_the_disk(tmp_path: Path) -> None:
    """Neither the name nor the words of the file are in its folder."""
    file = ScratchFile(tmp_path, memory=0)
    file.write(b"canary" * CHUNK)
    assert file._file is not None
    size = os.fstat(file._file.fileno()).st_size

    assert size > CHUNK
    assert b"canary" not in os.pread(file._file.fileno(), size, 0)
    assert list(tmp_path.iterdir()) == []
    file.close()


def test_little_needs_no_file() -> None:
    """Up to the limit everything stays in memory."""
    file = ScratchFile(Path("/does/not/exist"), memory=CHUNK)
    file.write(b"x" * CHUNK)
    file.seek(0)

    assert file.read() == b"x" * CHUNK
    file.close()


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, CHUNK + 10), max_size=6),
    memory=st.sampled_from([0, 1000, 2 * CHUNK]),
    places=st.lists(st.tuples(st.integers(0, 4 * CHUNK), st.integers(1, CHUNK)), max_size=5),
)
def test_it_reads_like_any_file(
    sizes: list[int], memory: int, places: list[tuple[int, int]]
) -> None:
    """Whatever was written in whatever pieces is read from every place as from memory."""
    data = [os.urandom(size) for size in sizes]
    plain = io.BytesIO(b"".join(data))
    with scratch_file(memory=memory) as file:
        for piece in data:
            file.write(piece)
        for place, size in places:
            assert file.seek(place) == plain.seek(place)
            assert file.read(size) == plain.read(size)
        file.seek(0)
        plain.seek(0)
        assert list(file) == list(plain)
