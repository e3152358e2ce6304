"""The base URL taken apart."""

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.proxy.upstream.address import Address


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com", "ftp://host", "http://", "http://host:port", "http://host:70000",
     "https://" + "a" * 64 + ".example"],
)  # fmt: skip
def test_an_unusable_url_is_refused_by_the_name_of_its_setting(url: str) -> None:
    """What is not an http or https URL with a host stops the start, naming the setting."""
    with pytest.raises(ConfigurationError, match="OFFICEAI_UPSTREAM_BASE_URL"):
        Address.of(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls", "header"),
    [
        ("http://10.0.0.1/v1", "10.0.0.1", 80, False, b"10.0.0.1"),
        ("https://api.openai.com/v1", "api.openai.com", 443, True, b"api.openai.com"),
        ("https://api.openai.com:443", "api.openai.com", 443, True, b"api.openai.com:443"),
        ("http://[::1]:8080/v1", "::1", 8080, False, b"[::1]:8080"),
        ("http://[fe80::1]", "fe80::1", 80, False, b"[fe80::1]"),
        ("http://Bücher.example", "xn--bcher-kva.example", 80, False, b"xn--bcher-kva.example"),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_call_the_host(
    url: str, host: str, port: int, is_tls: bool, header: bytes
) -> None:
    """Host, port, TLS and Host header follow from the URL, for names and both kinds of address."""
    assert Address.of(url) == Address(host, port, is_tls, header)


def test_an_address_is_written_with_its_port() -> None:
    """In messages an address shows its port, an IPv6 one in brackets."""
    assert str(Address.of("https://example.com/v1")) == "example.com:443"
    assert str(Address.of("http://[::1]:81")) == "[::1]:81"
