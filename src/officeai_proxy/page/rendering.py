"""A template and values in, an HTML answer out: escaped, compressed, never kept by a cache.

Rendering takes milliseconds, so it runs in a thread: calls go on meanwhile.
"""

import asyncio
import gzip
import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from officeai_proxy.errors import NotFound
from officeai_proxy.page.assets import FOR_EVER, Assets
from officeai_proxy.page.language import Language, Words, load_words
from officeai_proxy.page.markdown import Markdown
from officeai_proxy.page.sentences import Sentences

TEMPLATES = Path(__file__).parent / "templates"

_NAMED = re.compile("`([^`]+)`")

_WORTH_PACKING = 1024
_LEVEL = 5

# As a member of a list, and not with the weight 0, however many zeros that is written with.
_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))(?:;|,|$)")


class Renderer:
    """The templates, the words of all languages and the files that belong to them."""

    def __init__(self) -> None:
        """Load everything that does not depend on a request."""
        self.assets = Assets()
        self.words: Mapping[Language, Words] = load_words()
        self.sentences = Sentences(self.words)
        self.markdown = {
            language: Markdown(copy=words("copy")) for language, words in self.words.items()
        }
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters["coded"] = coded
        self._environment.globals["asset"] = self.assets.url
        icons = self._environment.get_template("icons.html").module
        self._environment.globals["icons"] = icons.icon  # type: ignore[attr-defined]  # a macro

    def send_file(self, request: Request, public: str) -> Response:
        """The file of the page with this public name.

        Raises:
            NotFound: there is none.
        """
        asset = self.assets.find(public)
        if asset is None:
            raise NotFound
        headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
        if not _takes_gzip(request):
            return Response(asset.plain, headers=headers, media_type=asset.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.media_type)

    async def answer(
        self,
        request: Request,
        template: str,
        values: Mapping[str, object],
        *,
        status: int = HTTPStatus.OK,
    ) -> Response:
        """The page that *template* makes of *values*."""
        packs = _takes_gzip(request)
        body, is_packed = await asyncio.to_thread(self._render, template, values, packs=packs)
        headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding, Cookie, X-Part"}
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        return Response(body, status, headers, media_type="text/html")

    def _render(
        self, template: str, values: Mapping[str, object], *, packs: bool
    ) -> tuple[bytes, bool]:
        text = self._environment.get_template(template).render(values)
        # Half a surrogate pair, which a client may have sent, has no UTF-8.
        body = text.encode("utf-8", "replace")
        if packs and len(body) > _WORTH_PACKING:
            return gzip.compress(body, compresslevel=_LEVEL, mtime=0), True
        return body, False


def coded(sentence: str) -> Markup:
    """A sentence of the program, whose names stand in backticks, with its names as code."""
    return Markup().join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece)
        for place, piece in enumerate(_NAMED.split(sentence))
    )


def _takes_gzip(request: Request) -> bool:
    """Whether the browser takes gzip; with the weight 0 it does not (RFC 9110, 12.5.3)."""
    return _GZIP.search(request.headers.get("accept-encoding", "").lower()) is not None
