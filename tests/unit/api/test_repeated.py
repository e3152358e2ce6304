"""A query parameter of ours that is given twice."""

import pytest
from fastapi import Request

from officeai_proxy.api.repeated import refuse_repeated
from officeai_proxy.errors import UnprocessableInput

NAMES = ("limit", "user")


def asked(query: str) -> Request:
    return Request({"type": "http", "headers": [], "query_string": query.encode()})


@pytest.mark.parametrize("query", ["limit=0&limit=5", "user=a&x=1&user=a", "limit=1&%6Cimit=2"])
def test_twice_is_refused(query: str) -> None:
    """Also with the same value, and however its name is written."""
    with pytest.raises(UnprocessableInput, match="once") as refusal:
        refuse_repeated(asked(query), NAMES)

    assert refusal.value.param in NAMES


@pytest.mark.parametrize("query", ["", "limit=5&user=a", "x=1&x=2&limit=5"])
def test_anything_else_passes(query: str) -> None:
    """What no route knows may come as often as it likes."""
    refuse_repeated(asked(query), NAMES)
