"""Every error of ours is one object, as bytes that need no framework."""

import json

import pytest

from officeai_proxy import error_handlers, errors
from officeai_proxy.errors import (
    DatabaseUnavailable,
    InvalidKey,
    InvalidRequest,
    ProxyError,
    UpstreamTimedOut,
)


def test_body_and_headers_can_be_had_without_a_framework():
    """The proxy's own application uses the same bytes."""
    error = InvalidRequest("X-User-ID is empty.", param="X-User-ID")

    assert json.loads(error_handlers.error_body(error)) == {
        "error": {
            "message": "X-User-ID is empty.",
            "type": "invalid_request_error",
            "param": "X-User-ID",
            "code": None,
        }
    }
    assert error_handlers.error_headers(error) == [(b"content-type", b"application/json")]
    assert (b"www-authenticate", b"Bearer") in error_handlers.error_headers(InvalidKey())
    assert dict(error_handlers.error_headers(DatabaseUnavailable()))[b"retry-after"]
    assert b"retry-after" not in dict(error_handlers.error_headers(UpstreamTimedOut()))


@pytest.mark.parametrize(
    "kind",
    [
        errors.UpstreamRefusedKey,
        errors.Unopenable,
        errors.Conflict,
        errors.AmbiguousSession,
        errors.KeyMade,
        errors.TooManyWrongKeys,
        errors.DatabaseDamaged,
    ],
)
def test_what_a_retry_cannot_heal_is_not_tried_again(kind: type[ProxyError]):
    """SDKs repeat these statuses by themselves; only a person can change what is wrong here."""
    headers = dict(error_handlers.error_headers(kind()))

    assert kind.status in (409, 429) or kind.status >= 500
    assert headers[b"x-should-retry"] == b"false"


@pytest.mark.parametrize(
    "kind",
    [
        errors.UpstreamUnreachable,
        errors.UpstreamTimedOut,
        errors.KeysUnavailable,
        errors.RecordingUnavailable,
        errors.TokensLimited,
        errors.ShuttingDown,
    ],
)
def test_what_may_pass_is_left_to_the_client(kind: type[ProxyError]):
    """Whether to try again is the SDK's decision."""
    assert b"x-should-retry" not in dict(error_handlers.error_headers(kind()))


@pytest.mark.parametrize(
    "kind",
    [item for item in vars(errors).values() if isinstance(item, type) and item is not ProxyError],
    ids=lambda kind: kind.__name__,
)
def test_every_error_has_words_of_its_own(kind: type[ProxyError]):
    """An error raised without a message still tells a person something."""
    error = json.loads(error_handlers.error_body(kind()))["error"]

    assert error["message"].endswith(".")
    assert 400 <= kind.status < 600
