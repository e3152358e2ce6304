"""The API page is whole, unchanged and asks no other host."""

import hashlib
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from officeai_proxy import swagger
from officeai_proxy.api import faults
from officeai_proxy.swagger.page import STATIC


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    app = FastAPI(title="A <test>", docs_url=None, redoc_url=None, redirect_slashes=False)
    faults.install(app)
    swagger.install(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


async def test_no_other_file_is_served(client: httpx.AsyncClient):
    """The static folder has no way in but the named files."""
    for path in ("/docs/vendor.json", "/docs/../page.py", "/docs/%2e%2e/page.py", "/docs/"):
        assert (await client.get(path)).status_code == 404, path


async def test_writing_to_the_page_is_refused(client: httpx.AsyncClient):
    """The page can be read and nothing else."""
    response = await client.post("/docs")

    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_vendored_files_are_unchanged():
    """Every file is byte for byte the one whose hash is written down, and none is missing."""
    vendor = json.loads((STATIC / "vendor.json").read_text("utf-8"))
    ours = {"vendor.json", "init.js"}

    found = {path.name for path in STATIC.iterdir()} - ours
    assert found == set(vendor["sha256"])
    for name, expected in vendor["sha256"].items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == expected, name
    assert vendor["licence"] == "Apache-2.0"


async def test_page_and_files_are_there_for_everybody(client: httpx.AsyncClient):
    """Page, script, style, icon and description come without a key, each as what it is."""
    page = await client.get("/docs")
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)

    kinds = {}
    for link in [*links, "openapi.json"]:
        response = await client.get(f"/{link}")
        assert response.status_code == 200, link
        kinds[link.rpartition(".")[2]] = response.headers["content-type"]
    assert kinds["js"].startswith("text/javascript")
    assert kinds["css"].startswith("text/css")
    assert (kinds["png"], kinds["json"]) == ("image/png", "application/json")


async def test_vendored_files_may_be_kept(client: httpx.AsyncClient):
    """A file whose address has its version is kept for ever; our own script is asked for anew."""
    page = await client.get("/docs")
    for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        cached = (await client.get(f"/{link}")).headers["cache-control"]
        assert cached == ("no-cache" if link.endswith("init.js") else swagger.page.FOR_EVER)


async def test_nothing_comes_from_another_host(client: httpx.AsyncClient):
    """Neither the page nor our script names another host, and the policy forbids any."""
    page = await client.get("/docs")
    script = await client.get("/docs/init.js")

    assert "//" not in page.text.replace("<!doctype html>", "")
    assert "http" not in script.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_the_page_has_no_script_of_its_own(client: httpx.AsyncClient):
    """Every script is a file, so that the policy can forbid the others."""
    page = (await client.get("/docs")).text

    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert "style=" not in page
    assert "<title>A &lt;test&gt;: API</title>" in page


async def test_the_page_keeps_the_key_and_is_ready_to_try(client: httpx.AsyncClient):
    """The key survives a reload, forms are open at once, and no validator is asked."""
    script = (await client.get("/docs/init.js")).text

    for setting in ("persistAuthorization: true", "tryItOutEnabled: true", "validatorUrl: null"):
        assert setting in script
