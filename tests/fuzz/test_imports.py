"""Whatever file somebody imports: conversations, faults or a refusal, and never anything else."""

import io
from datetime import UTC, datetime
from itertools import islice

from tests.fuzz.mangling import every_seed, fuzzed, mangled

from officeai_proxy.errors import BodyTooLarge
from officeai_proxy.formats.reading.files import read_items
from officeai_proxy.formats.reading.imported import (
    Fault,
    ImportedConversation,
    Reading,
    UnknownFile,
)

READING = Reading(
    now=datetime(2026, 1, 1, tzinfo=UTC), item_bytes=100_000, total_bytes=1_000_000, max_messages=50
)

MOST = 2000
"""Items that a file of the corpus' size can hold."""


def check_file(data: bytes) -> None:
    """Items that fit together, or one of the two refusals that are declared."""
    try:
        items = list(islice(read_items(io.BytesIO(data), READING), MOST + 1))
    except (UnknownFile, BodyTooLarge):
        return
    assert len(items) <= MOST
    for item in items:
        if isinstance(item, Fault):
            assert item.reason
            assert len(item.reason) < 2000
        else:
            check_conversation(item)


def check_conversation(conversation: ImportedConversation) -> None:
    """Parents come before their children, the path ends at a message, all can be stored."""
    count = len(conversation.messages)
    assert count <= READING.max_messages
    assert len(conversation.parents) == count
    for place, parent in enumerate(conversation.parents):
        assert parent is None or 0 <= parent < place
    assert conversation.leaf is None or 0 <= conversation.leaf < count
    assert 1 <= len(conversation.session_id) <= 255
    for text in (conversation.session_id, conversation.title or "", *_texts(conversation)):
        assert "\0" not in text
        assert text.encode() is not None
    for moment in (conversation.created_at, conversation.updated_at):
        assert moment.utcoffset() is not None


def _texts(conversation: ImportedConversation) -> list[str]:
    found = [conversation.user_identifier or "", conversation.foreign_user or ""]
    for message in conversation.messages:
        found += [message.role, message.content, message.extra or "", message.model_name or ""]
        assert len(message.role) <= 16
    return found


@every_seed("imports")
def test_known_files(data: bytes) -> None:
    """The corpus of files, whole and cut off in the middle."""
    check_file(data)
    check_file(data[: len(data) // 2])


@fuzzed(data=mangled("imports"))
def test_files(data: bytes) -> None:
    """Mangled exports of all kinds."""
    check_file(data)
