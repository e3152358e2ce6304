"""A price and token counts in, US dollars out, or None when that cannot be known; pure arithmetic.

Prices are US dollars per million tokens, as price lists have them.
"""

from dataclasses import dataclass

from officeai_proxy.model import Usage

MILLION = 1_000_000

DIGITS = 9
"""Costs are rounded to a billionth of a dollar."""

MOST_DOLLARS = 1_000_000.0
"""A call that seems to cost more was counted wrongly, and its cost is not known."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Without `cached_input` cached tokens cost what others do. `most_input` is the largest prompt
    that these prices are for; models that charge more beyond it have it.
    """

    input: float
    output: float = 0.0
    cached_input: float | None = None
    most_input: int | None = None


def cost_of(usage: Usage, price: Price) -> float | None:
    """What *usage* costs, in US dollars; None when the counts do not say it.

    Reasoning tokens are output (OpenAI API reference, `completion_tokens_details`); servers that
    leave them out of `completion_tokens` still have them in `total_tokens`. Audio tokens have
    prices of their own, so that a call with some of them has no known cost.
    """
    prompt, completion = usage.prompt_tokens, _output_tokens(usage)
    if prompt is None or completion is None or usage.audio_tokens:
        return None
    if price.most_input is not None and prompt > price.most_input:
        return None
    cached = min(usage.cached_tokens or 0, prompt)
    cached_price = price.input if price.cached_input is None else price.cached_input
    million = (prompt - cached) * price.input + cached * cached_price + completion * price.output
    return rounded(million / MILLION)


def rounded(dollars: float) -> float | None:
    """*dollars* as it is stored; None when no call costs that."""
    return round(dollars, DIGITS) if 0 <= dollars <= MOST_DOLLARS else None


def _output_tokens(usage: Usage) -> int | None:
    prompt, completion, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if prompt is None:
        return None
    if completion is None:
        # Embeddings have no output, and say so by a total that equals the prompt.
        return 0 if total == prompt else None
    return completion if total is None else max(completion, total - prompt)
