"""What encoders take: metadata as text, put together without parsing."""

import json

import pytest
from tests.passages import CALL_ID, line

from officeai_proxy.formats.writing.passages import metadata_of

HELLO = {"role": "user", "content": "hello"}


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
