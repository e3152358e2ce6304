"""The base URL of the upstream, taken apart once: where to connect and what to call the host."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from typing_extensions import override

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.setting_values import DEFAULT_PORTS


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is, and the forward proxy in between, if there is one."""

    host: str
    port: int
    is_tls: bool
    host_header: bytes
    proxy: str = ""

    @classmethod
    def of(cls, base_url: str) -> Self:
        """The address in *base_url*; its path plays no part here.

        Raises:
            ConfigurationError: it is not an http or https URL with a host.
        """
        try:
            url = urlsplit(base_url)
            host = (url.hostname or "").encode("idna").decode()
            port = url.port or DEFAULT_PORTS[url.scheme]
        except (ValueError, KeyError) as exc:
            raise _unusable() from exc
        if not host:
            raise _unusable()
        name = f"[{host}]" if ":" in host else host
        header = name if url.port is None else f"{name}:{port}"
        return cls(host, port, url.scheme == "https", header.encode())

    @property
    def check(self) -> str:
        """What to look at when it cannot be reached."""
        if self.proxy:
            return (
                "Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or set "
                "OFFICEAI_UPSTREAM_TRUST_ENV=false."
            )
        return "Check OFFICEAI_UPSTREAM_BASE_URL and that the upstream is up."

    @override
    def __str__(self) -> str:
        """The address as a person writes it: host and port."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        through = f" through the forward proxy {self.proxy}" if self.proxy else ""
        return f"{name}:{self.port}{through}"


def _unusable() -> ConfigurationError:
    return ConfigurationError(
        "OFFICEAI_UPSTREAM_BASE_URL: must be a URL such as https://api.openai.com/v1"
    )
