"""What stands around the page: the headers of every answer, and where a change may come from."""

from fastapi import Request

from officeai_proxy.errors import NotAllowed
from officeai_proxy.page.origins import SAFE_METHODS, is_from_here

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content Security Policy Level 3: nothing inline, nothing of another host."""

# With `no-referrer` browsers would say `Origin: null` even to us (Fetch Standard, 3.1).
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


async def check_origin(request: Request) -> None:
    """Refuse a change that no page of ours asks for.

    Raises:
        NotAllowed: the request comes from elsewhere, or does not say where it comes from.
    """
    if request.method not in SAFE_METHODS and not is_from_here(request.headers):
        raise NotAllowed(
            "This request does not come from the page itself, so nothing was changed. Open the "
            "page by its own address and try again."
        )
