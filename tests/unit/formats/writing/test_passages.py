"""What encoders take: times and metadata as text, put together without parsing."""

import json

import pytest
from tests.passages import CALL_ID, line

from officeai_proxy.formats.writing.passages import iso_moment, metadata_of

HELLO = {"role": "user", "content": "hello"}


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31 12:00:05.000000", "2026-01-31T12:00:05Z"),
        ("2026-01-31 12:00:05.250000", "2026-01-31T12:00:05.250000Z"),
        ("0001-01-01 00:00:00.000001", "0001-01-01T00:00:00.000001Z"),
    ],
)
def test_moments_are_iso_8601(text: str, iso: str):
    """In UTC with Z, and with microseconds when there are any."""
    assert iso_moment(text) == iso


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({}, ""),
        ({"metadata": '{"a":1}'}, {"a": 1}),
        ({"exchange_id": CALL_ID}, {"exchange_id": CALL_ID}),
        ({"finish_reason": 'a"b'}, {"finish_reason": 'a"b'}),
        (
            {
                "metadata": '{"a":1,"outcome":"mine"}',
                "outcome": "truncated",
                "exchange_id": CALL_ID,
            },
            {"a": 1, "outcome": "truncated", "exchange_id": CALL_ID},
        ),
    ],
)
def test_metadata_are_those_of_the_api(stored: dict[str, str], told: dict[str, object] | str):
    """What is known of the call goes over what somebody gave."""
    text = metadata_of(line(HELLO, 1)._replace(**stored))

    assert (json.loads(text) if text else text) == told
