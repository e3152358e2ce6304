"""A file of prices in, checked prices out: what an operator pays rather than what is usual."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Json
from officeai_proxy.prices.price import Price

_FIELDS = ("input", "output", "cached_input")


def read_prices(path: Path) -> Mapping[str, Price | None]:
    """The prices in the JSON or TOML file *path*; None for a model that is to have none.

    Raises:
        ConfigurationError: the file cannot be read, or is no list of prices.
    """
    try:
        text = path.read_text("utf-8")
        read = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"OFFICEAI_PRICES: {path} cannot be read: {exc}") from exc
    if not isinstance(read, dict):
        raise ConfigurationError(f"OFFICEAI_PRICES: {path} must hold an object: a price a model")
    return {name: _price(path, name, cast("Json", value)) for name, value in read.items()}


def _price(path: Path, name: str, value: Json) -> Price | None:
    """One entry; null in JSON and an empty table in TOML say that the price is not known."""
    if value is None or value == {}:
        return None
    wrong = ConfigurationError(
        f"OFFICEAI_PRICES: {path}: {name!r} needs `input`, and may have `output` and "
        "`cached_input`, in US dollars per million tokens"
    )
    if not isinstance(value, dict) or not {"input"} <= value.keys() <= set(_FIELDS):
        raise wrong
    numbers = [value.get(field) for field in _FIELDS]
    if not all(number is None or _is_price(number) for number in numbers) or numbers[0] is None:
        raise wrong
    given, output, cached = cast("list[float | None]", numbers)
    return Price(given or 0.0, output or 0.0, cached)


def _is_price(value: Json) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 <= value < 1e9  # type: ignore[arg-type,operator]  # a number, as was just asked
