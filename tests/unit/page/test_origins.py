"""Where a request says it comes from."""

import pytest

from officeai_proxy.page.origins import is_from_here


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "proxy.example"},
        {"host": "proxy.example", "origin": "null"},
        {"host": "proxy.example", "origin": "https://evil.example"},
        {"host": "proxy.example", "origin": "https://proxy.example.evil.example"},
        {"host": "proxy.example:8000", "origin": "http://proxy.example:9000"},
        {
            "host": "proxy.example",
            "origin": "https://proxy.example",
            "sec-fetch-site": "cross-site",
        },
        {"host": "proxy.example", "origin": "https://proxy.example", "sec-fetch-site": "same-site"},
        {"host": "proxy.example", "sec-fetch-site": "none"},
    ],
)
def test_a_change_from_elsewhere_is_not_from_here(headers: dict[str, str]) -> None:
    """Whoever says nothing, or another place, is not a page of ours."""
    assert not is_from_here(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "proxy.example", "sec-fetch-site": "same-origin"},
        {"host": "proxy.example", "origin": "https://proxy.example"},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
    ],
)
def test_a_change_from_the_page(headers: dict[str, str]) -> None:
    """Browsers with Fetch Metadata say it, and older ones by the origin."""
    assert is_from_here(headers)
