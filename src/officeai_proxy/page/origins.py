"""Where a request comes from: a page of ours or not. Guards everything that changes something.

The cookie is `SameSite=Strict`, which keeps other sites out already. On top of that a change must
say that it comes from this very origin: by `Sec-Fetch-Site` (Fetch Metadata), which no script can
set, else by `Origin` (RFC 6454). A browser sends at least one of them with every POST, so that a
request with neither is refused, and the page needs no secret in its forms.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a page of this origin made the request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin, host = headers.get("origin"), headers.get("host")
    # A proxy in front may speak TLS and we may not know: the host decides, not the scheme.
    return bool(origin and host) and urlsplit(origin or "").netloc == host


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether another site has sent the reader here; typing an address is not that."""
    return headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
