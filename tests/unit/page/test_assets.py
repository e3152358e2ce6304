"""The page's own files."""

import gzip
from pathlib import Path

from officeai_proxy.page.assets import Assets


def test_a_name_changes_with_the_content(tmp_path: Path) -> None:
    """A browser that keeps a file for ever never shows an old one."""
    (tmp_path / "page.css").write_text("a {}")
    before = Assets(tmp_path).url("page.css")
    (tmp_path / "page.css").write_text("b {}")
    assert Assets(tmp_path).url("page.css") != before


def test_only_known_kinds_are_served(tmp_path: Path) -> None:
    """A file of another kind that lies there is not served, whatever it is called."""
    (tmp_path / "secret.txt").write_text("secret")
    assets = Assets(tmp_path)
    assert assets.find("secret.txt") is None
    assert assets.find("../secret.txt") is None


def test_packed_is_the_same(tmp_path: Path) -> None:
    """What is sent compressed is what was there."""
    (tmp_path / "page.js").write_text("let a = 1;")
    assets = Assets(tmp_path)
    asset = assets.find(assets.url("page.js").rsplit("/", 1)[1])
    assert asset is not None
    assert gzip.decompress(asset.packed) == asset.plain == b"let a = 1;"
