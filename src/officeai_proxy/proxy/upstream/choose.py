"""The base URL and the environment go in; the way to the upstream comes out: direct or by a proxy.

The environment is read by `urllib.request`, as everywhere in Python: HTTPS_PROXY, HTTP_PROXY,
ALL_PROXY and NO_PROXY in either case (and, on macOS and Windows, the system's settings). Networks
in NO_PROXY, which it does not know, are read here.
"""

import ipaddress
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.forward_proxy import ForwardProxy
from officeai_proxy.proxy.upstream.pooled import PooledUpstream
from officeai_proxy.proxy.upstream.timeouts import Timeouts
from officeai_proxy.setting_values import is_loopback
from officeai_proxy.settings import Settings

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def upstream_of(settings: Settings) -> PooledUpstream:
    """The way to the upstream that *settings* name. Raises as `choose_upstream` does."""
    timeouts = Timeouts(
        settings.connect_timeout, settings.first_byte_timeout, settings.idle_timeout
    )
    return choose_upstream(
        settings.upstream_base_url, timeouts, trust_env=settings.upstream_trust_env
    )


def choose_upstream(base_url: str, timeouts: Timeouts, *, trust_env: bool) -> PooledUpstream:
    """The way to *base_url* that the environment asks for; direct unless *trust_env*.

    An upstream on this machine is always reached directly: no proxy could find it.

    Raises:
        ConfigurationError: *base_url*, or the proxy that the environment names, cannot be used.
    """
    address = Address.of(base_url)
    if not trust_env or _is_here(address.host) or _is_exempt(address):
        return PooledUpstream(base_url, timeouts)
    proxies = getproxies()
    for name in ("https" if address.is_tls else "http", "all"):
        if proxies.get(name):
            proxy_url = _proxy_url(proxies[name], variable=f"{name.upper()}_PROXY")
            return PooledUpstream(base_url, timeouts, proxy=ForwardProxy(proxy_url))
    return PooledUpstream(base_url, timeouts)


def _is_here(host: str) -> bool:
    return is_loopback(host) or host.endswith(".localhost")


def _is_exempt(address: Address) -> bool:
    """Whether NO_PROXY lists the upstream: its name, its address, or a network that this is in."""
    return bool(proxy_bypass(str(address))) or _is_in_exempt_network(address.host)


def _is_in_exempt_network(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for listed in getproxies().get("no", "").split(","):
        # A single address is a network of one; a name is none.
        with suppress(ValueError):
            if address in ipaddress.ip_network(listed.strip(), strict=False):
                return True
    return False


def _proxy_url(value: str, *, variable: str) -> str:
    """The proxy's URL; one without a scheme speaks HTTP, as for curl."""
    value = value if "://" in value else f"http://{value}"
    try:
        url = urlsplit(value)
        fault = _fault(url, url.port)
    except ValueError:
        fault = "its address is not valid"
    if fault:
        # The value is not shown: it may hold a password.
        raise ConfigurationError(
            f"{variable}: this proxy cannot be used: {fault}. Write it like http://host:3128 or "
            "socks5://host:1080, or set OFFICEAI_UPSTREAM_TRUST_ENV=false."
        )
    return value


def _fault(url: SplitResult, port: int | None) -> str | None:
    if url.scheme not in PROXY_SCHEMES:
        return f"{url.scheme}:// is not one of {', '.join(PROXY_SCHEMES)}"
    if not url.hostname:
        return "it has no host"
    url.hostname.encode("idna")  # Which raises when it is none.
    if port is None:
        return "it has no port"
    return None
