"""Where the page may lead somebody who has just signed in."""

import pytest

from officeai_proxy.page.desk import own_address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "//evil.example",
        "https:evil.example",
        "https://evil.example/ui",
        "\\\\evil.example",
        "/ui\\@evil.example",
        "/ui//evil.example",
        "/uix",
        "/ui/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/conversations",
    ],
)
def test_addresses_of_others_are_ignored(address: str | None) -> None:
    """A link to the door cannot choose a place outside of the page."""
    assert own_address(address) == "/ui"


@pytest.mark.parametrize("address", ["/ui", "/ui/c/12", "/ui?user=a%2Fb", "/ui/search?q=你好"])
def test_own_addresses_are_kept(address: str) -> None:
    """Whoever had to sign in first lands where they wanted to go."""
    assert own_address(address) == address
