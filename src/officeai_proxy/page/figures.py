"""Counts, durations and sums of money in, a few characters for people out."""

from decimal import Decimal

_UNITS = ((999.5e9, 1e12, "T"), (999.5e6, 1e9, "G"), (999.5e3, 1e6, "M"), (1e4, 1e3, "k"))
"""From where on a count is told in which unit. What would be rounded to 1,000 k is 1 M."""


def number(value: float) -> str:
    """A count for people: `950`, `12.3k`, `4.56M`."""
    for least, size, letter in _UNITS:
        if value >= least:
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def dollars(value: float) -> str:
    """US dollars for people: cents, or what of them there is; a call often costs a millionth."""
    if value >= 1 or value == 0:
        return f"${value:,.2f}"
    return f"${Decimal(f'{value:.3g}'):f}"


def seconds(milliseconds: float) -> str:
    """A duration for people: `340 ms`, `1.2 s`, `75 s`."""
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 9950 else f"{milliseconds / 1000:.0f} s"
