"""A row a message as Apache Parquet, by pyarrow, which only those have who want this format."""

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import override

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.formats.writing.passages import Counts, Encoder, Line, Passage, metadata_of
from officeai_proxy.formats.writing.spreadsheet_text import COLUMNS

_INTEGERS = ("message_id", "parent_id", "token_count")

# A group of few rows is not worth its headers, and a group is in memory until it is written.
_GROUP_BYTES = 4 * 1024 * 1024

# Looking for repetitions pays where there are some; for texts it takes memory for nothing.
_REPEATED = ("session_id", "title", "user_identifier", "role", "model_name")


class ParquetEncoder(Encoder):
    """One table, written in groups of rows."""

    def __init__(self) -> None:
        """Load pyarrow.

        Raises:
            UnprocessableInput: it is not installed.
        """
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as exc:
            raise UnprocessableInput(
                "This proxy was installed without Parquet; whoever runs it can add it with "
                "`pip install 'officeai-proxy[parquet]'`.",
                param="format",
            ) from exc
        self._sink = _Sink()
        integer, text = self._arrow.int64(), self._arrow.large_string()
        fields = [(name, integer if name in _INTEGERS else text) for name in COLUMNS]
        self._schema = self._arrow.schema(fields)
        self._writer = parquet.ParquetWriter(
            self._sink, self._schema, compression="zstd", use_dictionary=list(_REPEATED)
        )
        self._batches: list[Any] = []
        self._size = 0

    @override
    def start(self) -> bytes:
        return self._sink.taken()

    @override
    def encode(self, passages: Sequence[Passage]) -> bytes:
        rows = [row for passage in passages for row in _rows(passage)]
        if rows:
            self._take(rows)
        if self._size >= _GROUP_BYTES:
            self._write_group()
        return self._sink.taken()

    @override
    def finish(self, counts: Counts) -> Iterator[bytes]:
        if self._batches:
            self._write_group()
        self._writer.close()
        yield self._sink.taken()

    def _take(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Keep *rows* for the next group, as compact as they will be in it."""
        columns = [
            self._arrow.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        batch = self._arrow.RecordBatch.from_arrays(columns, schema=self._schema)
        self._batches.append(batch)
        self._size += batch.nbytes

    def _write_group(self) -> None:
        table = self._arrow.Table.from_batches(self._batches)
        self._batches, self._size = [], 0
        self._writer.write_table(table)
        # What was freed is kept by Arrow for later use, of which an idle server has none.
        self._arrow.default_memory_pool().release_unused()


class _Sink:
    """A file that only keeps what was written to it since one last looked."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def close(self) -> None:
        """There is nothing to close."""

    def taken(self) -> bytes:
        data, self._pieces = b"".join(self._pieces), []
        return data


def _rows(passage: Passage) -> Iterator[tuple[object, ...]]:
    head = passage.conversation
    first = (head.session_id, head.title, head.user_identifier)
    return ((*first, *_cells(line)) for line in passage.lines)


def _cells(line: Line) -> tuple[object, ...]:
    return (
        line.id,
        line.parent_id,
        line.role,
        line.content,
        line.model_name,
        line.token_count,
        line.timestamp,
        metadata_of(line) or None,
    )
