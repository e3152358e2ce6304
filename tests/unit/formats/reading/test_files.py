"""A file is known by its content."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from tests.exports import own_conversation, own_json

from officeai_proxy.formats.reading.files import read_items
from officeai_proxy.formats.reading.imported import (
    ImportedConversation,
    Reading,
    UnknownFile,
    derived_session_id,
)

READING = Reading(now=datetime(2026, 1, 1, tzinfo=UTC), item_bytes=10**6, total_bytes=10**6)


def test_an_empty_file_is_refused() -> None:
    """Nothing is no export."""
    with pytest.raises(UnknownFile, match="empty"):
        list(read_items(BytesIO(), READING))


def test_a_file_is_read_from_its_beginning_and_stays_open() -> None:
    """Wherever it stands, all of it is read; whoever opened it closes it."""
    file = BytesIO(own_json(own_conversation()))
    file.seek(20)

    [item] = read_items(file, READING)

    assert isinstance(item, ImportedConversation)
    assert not file.closed


def test_a_derived_session_id_never_changes() -> None:
    """It is pinned, because importing again has to find what an older version has made."""
    made = derived_session_id("T\ud800", (None, [1, 2]))

    assert made == "47669682-d1ba-5af7-a9b2-545398f068c0"
