"""Queries with other names of parameters, and the request that a route gets."""

from typing import Annotated
from urllib.parse import quote

import pytest
from fastapi import Depends, Request
from fastapi.dependencies.utils import get_dependant

from officeai_proxy.api.other_names import OtherNames
from officeai_proxy.errors import UnprocessableInput


def filters(user: str | None = None, session: str | None = None) -> tuple[str | None, str | None]:
    """What a list may be narrowed down to."""
    return user, session


def log(found: Annotated[object, Depends(filters)], limit: int = 1) -> None:
    """A route that knows `user` and `session`, by way of another."""


def conversations(user_identifier: str | None = None) -> None:
    """A route that knows `user_identifier`."""


def both(user: str | None = None, user_identifier: str | None = None) -> None:
    """A route for which the two are two."""


def asked(query: str) -> Request:
    return Request({"type": "http", "headers": [], "query_string": query.encode()})


def resolved(route: object, query: str) -> list[tuple[str, str]]:
    dependant = get_dependant(path="/", call=route)  # type: ignore[arg-type]  # one of the above
    return OtherNames(dependant).resolved(asked(query)).query_params.multi_items()


@pytest.mark.parametrize("query", ["user=a&user_identifier=b", "session_id=s&session=t&limit=1"])
def test_two_names_that_differ(query: str) -> None:
    """Nobody guesses which one is meant."""
    with pytest.raises(UnprocessableInput, match="is another name of") as refusal:
        resolved(log, query)

    assert refusal.value.param in ("user_identifier", "session_id")


def test_the_routes_own_name_comes_out() -> None:
    """With its value, whatever stands in it, and what stands beside it."""
    name = "李 伟&user=x"
    assert resolved(log, f"limit=2&user_identifier={quote(name)}&session_id=s") == [
        ("limit", "2"),
        ("user", name),
        ("session", "s"),
    ]
    assert resolved(conversations, "user=ann") == [("user_identifier", "ann")]
    assert {text for _, text in resolved(log, "user=ann&user_identifier=ann")} == {"ann"}


def test_what_is_no_other_name_stays() -> None:
    """A request without any is the same one, and a route that knows both takes both."""
    request = asked("user=ann&session=s&x=1")
    dependant = get_dependant(path="/", call=log)

    assert OtherNames(dependant).resolved(request) is request
    assert resolved(conversations, "session=s") == [("session", "s")]
    assert resolved(both, "user=a&user_identifier=b") == [("user", "a"), ("user_identifier", "b")]
