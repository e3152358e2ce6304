"""The page that a caller asks for."""

import pytest

from officeai_proxy.api.paging import page_request
from officeai_proxy.errors import UnprocessableInput


def test_cursor_and_offset_together_are_refused():
    """Two beginnings of one page cannot both be meant."""
    with pytest.raises(UnprocessableInput) as caught:
        page_request(limit=5, offset=1, cursor="abc")

    assert caught.value.param == "cursor"


def test_either_says_where_the_page_begins():
    """A cursor or an offset goes to storage as it is."""
    assert page_request(limit=5, cursor="abc").cursor == "abc"
    assert page_request(limit=5, offset=7).offset == 7
