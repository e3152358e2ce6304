"""Where a price is looked up: the operator's own file, then our table, then `genai-prices`."""

from collections.abc import Mapping
from pathlib import Path

from officeai_proxy.model import CallRecord, Usage
from officeai_proxy.prices.known import KNOWN
from officeai_proxy.prices.library import CostOf, library_costs
from officeai_proxy.prices.names import names_of
from officeai_proxy.prices.override import read_prices
from officeai_proxy.prices.price import Price, cost_of


class PriceBook:
    """Tells what a call cost."""

    def __init__(
        self,
        own: Mapping[str, Price | None],
        *,
        known: Mapping[str, Price] = KNOWN,
        library: CostOf | None = None,
    ) -> None:
        """*own* wins over *known*, and both over *library*."""
        self._prices: Mapping[str, Price | None] = {**known, **own}
        self._own = own
        self._library = library

    @classmethod
    def open(cls, path: Path | None) -> "PriceBook":
        """The book with the prices in the file *path* and whatever is installed.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        return cls({} if path is None else read_prices(path), library=library_costs())

    def cost(self, call: CallRecord) -> float | None:
        """What *call* cost, in US dollars; None when its price or its tokens are not known.

        The model that served it counts, and the one asked for only where that has no price.
        """
        if call.usage == Usage():
            return None
        models = [model for model in (call.model_served, call.model_asked) if model]
        for prices in (self._own, self._prices):
            for model in models:
                for name in names_of(model):
                    if name in prices:
                        price = prices[name]
                        return None if price is None else cost_of(call.usage, price)
        return self._by_library(models, call.usage)

    def _by_library(self, models: list[str], usage: Usage) -> float | None:
        if self._library is None:
            return None
        for model in models:
            cost = self._library(model, usage)
            if cost is not None:
                return cost
        return None
