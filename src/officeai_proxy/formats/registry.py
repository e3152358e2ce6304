"""The one list of file formats that HTTP, command line and page share; names in, encoders out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from officeai_proxy.errors import UnprocessableInput
from officeai_proxy.formats.writing.csv_table import CsvEncoder
from officeai_proxy.formats.writing.html_page import HtmlEncoder
from officeai_proxy.formats.writing.markdown import MarkdownEncoder
from officeai_proxy.formats.writing.openai_lines import OpenAIEncoder
from officeai_proxy.formats.writing.own_json import JsonEncoder, JsonlEncoder
from officeai_proxy.formats.writing.parquet import ParquetEncoder
from officeai_proxy.formats.writing.passages import Encoder, Options
from officeai_proxy.formats.writing.plain_text import TextEncoder
from officeai_proxy.formats.writing.xlsx import XlsxEncoder
from officeai_proxy.formats.writing.zip_archive import ZipEncoder

DEFAULT_INNER = "md"
"""The format of the files in a ZIP when nobody says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format. A format of the whole tree has the branches too, others the path alone."""

    name: str
    title: str
    media_type: str
    suffix: str
    is_whole_tree: bool = False
    is_text: bool = True
    make: Callable[[Options], Encoder]


def _zip(options: Options) -> Encoder:
    inner = format_of(options.inner or DEFAULT_INNER, param="inner")
    return ZipEncoder(options, make_inner=inner.make, suffix=inner.suffix)


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_ALL = (
    Format(
        name="json",
        title="Lossless JSON, one document; can be imported again",
        media_type="application/json",
        suffix=".json",
        is_whole_tree=True,
        make=lambda _: JsonEncoder(),
    ),
    Format(
        name="jsonl",
        title="Lossless JSON, a conversation a line; can be imported again",
        media_type="application/x-ndjson",
        suffix=".jsonl",
        is_whole_tree=True,
        make=lambda _: JsonlEncoder(),
    ),
    Format(
        name="openai",
        title="Training examples for fine-tuning, a conversation a line",
        media_type="application/x-ndjson",
        suffix=".openai.jsonl",
        make=lambda _: OpenAIEncoder(),
    ),
    Format(
        name="csv",
        title="A table, a row a message",
        media_type="text/csv; charset=utf-8; header=present",
        suffix=".csv",
        make=lambda options: CsvEncoder(csv_safe=options.csv_safe),
    ),
    Format(
        name="md",
        title="Markdown",
        media_type="text/markdown; charset=utf-8",
        suffix=".md",
        make=MarkdownEncoder,
    ),
    Format(
        name="txt",
        title="Plain text",
        media_type="text/plain; charset=utf-8",
        suffix=".txt",
        make=TextEncoder,
    ),
    Format(
        name="html",
        title="One page to read in a browser",
        media_type="text/html; charset=utf-8",
        suffix=".html",
        make=HtmlEncoder,
    ),
    Format(
        name="xlsx",
        title="A workbook for Excel, a row a message",
        media_type=_XLSX,
        suffix=".xlsx",
        is_text=False,
        make=lambda _: XlsxEncoder(),
    ),
    Format(
        name="zip",
        title="An archive, a folder a user and a file a conversation",
        media_type="application/zip",
        suffix=".zip",
        is_text=False,
        make=_zip,
    ),
    Format(
        name="parquet",
        title="A table for data tools, a row a message (needs the extra `parquet`)",
        media_type="application/vnd.apache.parquet",
        suffix=".parquet",
        is_text=False,
        make=lambda _: ParquetEncoder(),
    ),
)

FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in _ALL})
"""All formats by name."""

INNER_FORMATS = tuple(name for name in FORMATS if name != "zip")
"""What the files in a ZIP may be."""


def format_of(name: str, *, param: str = "format") -> Format:
    """The format called *name*.

    Raises:
        UnprocessableInput: there is none; the message has those that there are.
    """
    names = INNER_FORMATS if param == "inner" else tuple(FORMATS)
    if name not in names:
        raise UnprocessableInput(
            f"There is no format {name!r}; choose one of {', '.join(names)}.", param=param
        )
    return FORMATS[name]


def is_whole_tree(name: str, *, inner: str | None) -> bool:
    """Whether a file of this format has branches; a ZIP has what the files in it have."""
    if name == "zip":
        return format_of(inner or DEFAULT_INNER, param="inner").is_whole_tree
    return format_of(name).is_whole_tree


def guess_format(file_name: str) -> str | None:
    """The format that a file of this name has by its end; None when no format ends so."""
    fitting = [one for one in _ALL if file_name.casefold().endswith(one.suffix)]
    longest = max(fitting, key=lambda one: len(one.suffix), default=None)
    return None if longest is None else longest.name
