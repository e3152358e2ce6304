"""Limits and their words."""

import pytest

from officeai_proxy.errors import UpstreamTimedOut
from officeai_proxy.proxy.upstream.address import Address
from officeai_proxy.proxy.upstream.timeouts import Timeouts

ADDRESS = Address.of("http://llm.example:8080")


@pytest.mark.parametrize(
    ("kind", "seconds", "setting"),
    [
        ("connect_error", "1.5 s", "OFFICEAI_CONNECT_TIMEOUT"),
        ("first_byte_error", "600 s", "OFFICEAI_FIRST_BYTE_TIMEOUT"),
        ("idle_error", "120 s", "OFFICEAI_IDLE_TIMEOUT"),
    ],
)
def test_an_error_names_address_limit_and_setting(kind: str, seconds: str, setting: str) -> None:
    """Each message says where, how long, and which setting to raise."""
    error = getattr(Timeouts(connect=1.5, first_byte=600, idle=120), kind)(ADDRESS)
    assert isinstance(error, UpstreamTimedOut)
    assert all(word in error.message for word in ("llm.example:8080", seconds, setting))


def test_the_tick_is_a_quarter_of_the_shortest_limit_and_at_most_a_second() -> None:
    """Limits are checked often enough to be late by a quarter at most."""
    assert Timeouts(connect=0.01, first_byte=600, idle=120).tick == 1.0
    assert Timeouts(connect=10, first_byte=600, idle=0.2).tick == 0.05
    assert Timeouts(connect=10, first_byte=0.4, idle=120).tick == 0.1
