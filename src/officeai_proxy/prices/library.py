"""The price list `genai-prices`, which only those have who installed the extra `prices`."""

import importlib
from collections.abc import Callable
from typing import Any

from officeai_proxy.model import Usage
from officeai_proxy.prices.price import rounded

CostOf = Callable[[str, Usage], float | None]
"""A model's name and its token counts to US dollars; None when it is not known."""


def library_costs() -> CostOf | None:
    """Costs by `genai-prices`, or None where it is not installed."""
    try:
        library: Any = importlib.import_module("genai_prices")
    except ImportError:
        return None

    def cost_of(model: str, usage: Usage) -> float | None:
        if usage.prompt_tokens is None or usage.completion_tokens is None or usage.audio_tokens:
            return None
        counted = library.Usage(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=min(usage.cached_tokens or 0, usage.prompt_tokens),
            output_tokens=usage.completion_tokens,
        )
        try:
            return rounded(float(library.calc_price(counted, model_ref=model).total_price))
        except (LookupError, ValueError):
            return None

    return cost_of
