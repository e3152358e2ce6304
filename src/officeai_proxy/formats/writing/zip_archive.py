"""A ZIP archive with a folder a user and a file a conversation, and a manifest of them at its end.

The name of a file is the number of its conversation in the archive and its title, so that no two
are the same and nothing has to be remembered; no name leads out of the folder it is unpacked into,
and every system can hold it. The list for the manifest waits in a temporary file.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import orjson
from typing_extensions import override

from officeai_proxy.crypto.scratch import scratch_file
from officeai_proxy.formats.file_names import safe_name
from officeai_proxy.formats.writing.passages import (
    ConversationHead,
    Counts,
    Encoder,
    Options,
    Passage,
)
from officeai_proxy.formats.writing.zip_stream import ZipStream

FORMAT = "officeai-archive"
MANIFEST = "manifest.json"

_IN_MEMORY = 1024 * 1024
_CHUNK = 64 * 1024


class ZipEncoder(Encoder):
    """An archive of files in another format."""

    def __init__(
        self, options: Options, *, make_inner: Callable[[Options], Encoder], suffix: str
    ) -> None:
        """Write each conversation with an encoder of *make_inner*, into a file ending *suffix*."""
        self._options = options
        self._make_inner = make_inner
        self._suffix = suffix
        self._zip = ZipStream()
        self._files = scratch_file(memory=_IN_MEMORY)
        self._number = 0
        self._inner = make_inner(options)
        self.takes_utf8 = self._inner.takes_utf8
        self._name = ""
        self._owner: dict[str, str] = {}
        self._messages = 0
        self._bytes = 0
        self._digest = hashlib.sha256()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        return b"".join([self._piece(passage) for passage in passages])

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        yield self._zip.begin(MANIFEST, self._options.exported_at)
        told = {
            "format": FORMAT,
            "created_at": f"{self._options.exported_at:%Y-%m-%dT%H:%M:%SZ}",
            "filters": dict(self._options.filters),
            "conversations": counts.conversations,
            "messages": counts.messages,
        }
        yield self._zip.add(orjson.dumps(told)[:-1] + b',"files":[')
        self._files.seek(0)
        while chunk := self._files.read(_CHUNK):
            yield self._zip.add(chunk)
        yield self._zip.add(b'\n],"complete":true}\n')
        yield self._zip.end()
        yield from self._zip.finish()

    @override
    def close(self) -> None:
        self._inner.close()
        self._files.close()
        self._zip.close()

    def _piece(self, passage: Passage) -> bytes:
        if passage.is_first:
            self._begin(passage.conversation)
        data = self._encoded(passage)
        self._messages += len(passage.rows)
        self._bytes += len(data)
        self._digest.update(data)
        moment = _moment(passage.conversation.updated_at)
        if passage.is_first and passage.is_last:
            packed = self._zip.whole(self._name, data, moment)
        else:
            opening = self._zip.begin(self._name, moment) if passage.is_first else b""
            packed = opening + self._zip.add(data)
            packed += self._zip.end() if passage.is_last else b""
        if passage.is_last:
            self._note()
        return packed

    def _begin(self, conversation: ConversationHead) -> None:
        self._number += 1
        self._inner.close()
        self._inner = self._make_inner(self._options)
        folder = _folder(conversation.user_identifier)
        title = safe_name(conversation.name)
        self._name = f"{folder}/{self._number:06} {title}".rstrip() + self._suffix
        self._owner = {
            "user_identifier": conversation.user_identifier,
            "session_id": conversation.session_id,
        }
        self._messages = self._bytes = 0
        self._digest = hashlib.sha256()

    def _encoded(self, passage: Passage) -> bytes:
        start = self._inner.start() if passage.is_first else b""
        data = start + self._inner.encode([passage])
        if passage.is_last:
            data += b"".join(self._inner.finish(Counts(1, self._messages + len(passage.rows))))
        return data

    def _note(self) -> None:
        file = {
            "name": self._name,
            "conversations": 1,
            "messages": self._messages,
            "bytes": self._bytes,
            "sha256": self._digest.hexdigest(),
            **self._owner,
        }
        self._files.write((b",\n" if self._number > 1 else b"\n") + orjson.dumps(file))


def _folder(user: str) -> str:
    """A folder for *user*; two users never share one because their names are not safe."""
    safe = safe_name(user)
    if safe == user:
        return safe
    return f"{safe or 'user'}-{hashlib.sha256(user.encode()).hexdigest()[:8]}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
