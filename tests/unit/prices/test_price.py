"""What a call costs: refusals to guess first, then the arithmetic."""

import pytest

from officeai_proxy.model import Usage
from officeai_proxy.prices.price import Price, cost_of

PRICE = Price(2.5, 10, 1.25, most_input=200_000)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(prompt_tokens=5),
        Usage(completion_tokens=5, total_tokens=5),
        Usage(5, 5, 10, audio_tokens=1),
        Usage(200_001, 1, 200_002),
        Usage(5, 2**53, None),
    ],
    ids=["nothing", "no reply", "no prompt", "audio", "beyond the price", "garbage"],
)
def test_what_cannot_be_known_is_not_guessed(usage: Usage) -> None:
    """Counts that are missing, beyond the price or absurd give no cost rather than a wrong one."""
    assert cost_of(usage, PRICE) is None


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(1_000_000, 1_000_000, 2_000_000), None),
        (Usage(1000, 100, 1100), 0.0035),
        (Usage(1000, 100, 1100, cached_tokens=800), 0.0025),
        (Usage(1000, 100, 1100, cached_tokens=5000), 0.00225),
        (Usage(1000, 100, 1100, reasoning_tokens=60), 0.0035),
        (Usage(1000, 100, 1300, reasoning_tokens=200), 0.0055),
        (Usage(1000, None, 1000), 0.0025),
        (Usage(0, 0, 0), 0.0),
    ],
)
def test_tokens_cost_what_the_list_says(usage: Usage, dollars: float | None) -> None:
    """Cached tokens are cheaper, reasoning is output also when it was counted beside it."""
    assert cost_of(usage, PRICE) == dollars


def test_without_a_price_for_cached_tokens_they_cost_the_same() -> None:
    """A list without a discount gives none."""
    assert cost_of(Usage(1000, 0, 1000, cached_tokens=1000), Price(2)) == 0.002
