"""Swagger UI on our own shelf: an app in, the routes of `/docs` on it; no file of another host.

The page describes what `/openapi.json` says and is open to everybody, like that. Which files it is
made of, and that they are unchanged, stands in `static/vendor.json`.
"""

import json
from html import escape
from pathlib import Path
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"

# The page runs scripts, styles and pictures of this host only, and talks to this host only. The
# stylesheet carries its icons in itself (`data:`).
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# The version is in the address, so that a browser may keep the file for ever.
FOR_EVER = "public, max-age=31536000, immutable"

_VENDORED = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API</title>
<link rel="icon" type="image/png" href="docs/{version}/favicon-32x32.png">
<link rel="stylesheet" href="docs/{version}/swagger-ui.css">
<script src="docs/{version}/swagger-ui-bundle.js" defer></script>
<script src="docs/init.js" defer></script>
</head>
<body>
<noscript>This page needs JavaScript; the description itself is at openapi.json.</noscript>
<div id="swagger-ui"></div>
</body>
</html>
"""


def install(app: FastAPI) -> None:
    """Add the page and its files to *app*, which must be made with `docs_url=None`."""
    version = cast("str", json.loads((STATIC / "vendor.json").read_text("utf-8"))["version"])
    page = _PAGE.format(title=escape(app.title), version=version)

    async def docs(_: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return Response(page, headers=headers, media_type="text/html")

    app.add_route("/docs", docs, include_in_schema=False)
    for name, media_type in _VENDORED.items():
        _add_file(app, f"/docs/{version}/{name}", name=name, media_type=media_type, cache=FOR_EVER)
    _add_file(app, "/docs/init.js", name="init.js", media_type="text/javascript", cache="no-cache")


def _add_file(app: FastAPI, path: str, *, name: str, media_type: str, cache: str) -> None:
    headers = {"Cache-Control": cache, "X-Content-Type-Options": "nosniff"}

    async def file(_: Request) -> Response:
        return FileResponse(STATIC / name, headers=headers, media_type=media_type)

    app.add_route(path, file, include_in_schema=False)
