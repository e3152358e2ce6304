"""Direct or through a forward proxy: what the environment decides."""

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.proxy.upstream import Timeouts
from officeai_proxy.proxy.upstream.choose import choose_upstream

TIMEOUTS = Timeouts(connect=1, first_byte=1, idle=1)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.parametrize(
    "value",
    ["socks4://user:secret@proxy:1080", "socks://proxy:1080", "ftp://proxy:21", "http://proxy",
     "http://:3128", "proxy", "http://proxy:port", "http://proxy:99999", "http://[::1:3128"],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_stops_the_start(monkeypatch, value: str) -> None:
    """The message names the variable and never shows its value, which may hold a password."""
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ConfigurationError, match="ALL_PROXY") as caught:
        choose_upstream("https://api.example/v1", TIMEOUTS, trust_env=True)
    assert "secret" not in caught.value.message
    assert "OFFICEAI_UPSTREAM_TRUST_ENV=false" in caught.value.message


def test_an_unusable_base_url_stops_the_start() -> None:
    """The base URL is checked in every case."""
    with pytest.raises(ConfigurationError, match="OFFICEAI_UPSTREAM_BASE_URL"):
        choose_upstream("api.example", TIMEOUTS, trust_env=True)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("https_proxy", "http://user:password@proxy:3128"),
        ("HTTPS_PROXY", "proxy:3128"),
        ("HTTPS_PROXY", "https://proxy:443"),
        ("ALL_PROXY", "socks5://proxy:1080"),
        ("all_proxy", "socks5h://proxy:1080"),
    ],
)
async def test_the_environment_can_ask_for_a_proxy(monkeypatch, variable: str, value: str) -> None:
    """Every usable form of a proxy leads through it."""
    monkeypatch.setenv(variable, value)
    upstream = choose_upstream("https://api.example/v1", TIMEOUTS, trust_env=True)
    assert upstream.address.proxy.startswith("proxy:")
    await upstream.close()


@pytest.mark.parametrize(
    "base_url",
    ["http://localhost:11434/v1", "http://127.0.0.1:8000", "http://127.9.9.9", "http://[::1]:1",
     "http://models.localhost"],
)  # fmt: skip
def test_an_upstream_on_this_machine_is_always_direct(monkeypatch, base_url: str) -> None:
    """No proxy could find a loopback address, so none is asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert not choose_upstream(base_url, TIMEOUTS, trust_env=True).address.proxy


@pytest.mark.parametrize(
    ("no_proxy", "base_url"),
    [
        ("*", "https://api.example"),
        ("api.example", "https://api.example"),
        (".example", "https://api.example"),
        ("other,api.example:8443", "https://api.example:8443"),
        ("10.0.0.7", "http://10.0.0.7:8000"),
        ("localhost, 10.0.0.0/8", "http://10.1.2.3:8000"),
        ("10.1.2.3/8", "http://10.0.0.7:8000"),
        ("fd00::7", "http://[fd00::7]:8000"),
        ("fd00::/8,.example", "http://[fd12::7]"),
    ],
)
def test_no_proxy_makes_exceptions(monkeypatch, no_proxy: str, base_url: str) -> None:
    """What NO_PROXY lists is reached directly."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert not choose_upstream(base_url, TIMEOUTS, trust_env=True).address.proxy


@pytest.mark.parametrize("no_proxy", ["10.0.0.0/16", "10.0.0.0/8x", "fd00::/8", "", "10.1"])
async def test_no_proxy_makes_no_other_exceptions(monkeypatch, no_proxy: str) -> None:
    """An address outside of all networks that it lists goes through the proxy."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    upstream = choose_upstream("http://10.1.2.3:8000", TIMEOUTS, trust_env=True)
    assert upstream.address.proxy == "proxy:3128"
    await upstream.close()


def test_the_environment_can_be_ignored(monkeypatch) -> None:
    """Without trust in the environment even an unusable proxy plays no part."""
    monkeypatch.setenv("ALL_PROXY", "socks4://proxy")
    upstream = choose_upstream("https://api.example", TIMEOUTS, trust_env=False)
    assert not upstream.address.proxy


async def test_each_scheme_has_its_own_proxy(monkeypatch) -> None:
    """HTTPS_PROXY is for https, HTTP_PROXY for http, and each goes before ALL_PROXY."""
    monkeypatch.setenv("HTTPS_PROXY", "http://for-https:1")
    monkeypatch.setenv("HTTP_PROXY", "http://for-http:2")
    monkeypatch.setenv("ALL_PROXY", "http://for-all:3")
    for scheme in ("https", "http"):
        upstream = choose_upstream(f"{scheme}://api.example", TIMEOUTS, trust_env=True)
        assert upstream.address.proxy.startswith(f"for-{scheme}:")
        await upstream.close()


def test_without_proxies_the_way_is_direct() -> None:
    """An empty environment means no proxy."""
    upstream = choose_upstream("https://api.example", TIMEOUTS, trust_env=True)
    assert not upstream.address.proxy
