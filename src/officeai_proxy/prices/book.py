"""Where a price is looked up: the operator's own file, then our table, then `genai-prices`."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from officeai_proxy.model import CallRecord, Usage
from officeai_proxy.prices.known import KNOWN
from officeai_proxy.prices.library import CostOf, library_costs
from officeai_proxy.prices.names import names_of
from officeai_proxy.prices.override import read_prices
from officeai_proxy.prices.price import Price, cost_of

NOTHING_USED = Usage()

MOST_SEEN = 1024
"""Groups of model names whose price is remembered; a caller may name any number."""


class Elsewhere(Enum):
    """Where the price of a model may be that is in no table."""

    LIBRARY = "the library"


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
        self._seen: dict[tuple[str | None, ...], Price | Elsewhere | None] = {}

    @classmethod
    def open(cls, path: Path | None) -> "PriceBook":
        """The book with the prices in the file *path* and whatever is installed.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        return cls({} if path is None else read_prices(path), library=library_costs())

    def cost(self, call: CallRecord) -> float | None:
        """What *call* cost, in US dollars; None when its price or its tokens are not known.

        The model that served it counts. Where that has no price, the one that was sent to the
        upstream does, and else the one that the caller asked for.
        """
        if call.usage == NOTHING_USED:
            return None
        models = (call.model_served, call.model_sent, call.model_asked)
        if models not in self._seen:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            self._seen[models] = self._price_of([model for model in models if model])
        price = self._seen[models]
        if price is Elsewhere.LIBRARY:
            return self._by_library(models, call.usage)
        return None if price is None else cost_of(call.usage, price)

    def _price_of(self, models: Sequence[str]) -> "Price | Elsewhere | None":
        """The price of the first of *models* that has one; None: it is said to be unknown."""
        for prices in (self._own, self._prices):
            for model in models:
                for name in names_of(model):
                    if name in prices:
                        return prices[name]
        return Elsewhere.LIBRARY

    def _by_library(self, models: Sequence[str | None], usage: Usage) -> float | None:
        if self._library is None:
            return None
        for model in models:
            cost = self._library(model, usage) if model else None
            if cost is not None:
                return cost
        return None
