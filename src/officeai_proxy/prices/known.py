"""Prices of well-known models as their makers publish them; facts, and nothing is looked up.

Source: the data of genai-prices 0.2.3 (github.com/pydantic/genai-prices), which collects the price
lists of the makers; each line here was compared with it. Standard tier, text, US dollars per
million tokens. Names are without the date that many models carry. A model that is not here costs an
unknown amount, not nothing. These were the prices on 20 November 2026; newer ones go into
OFFICEAI_PRICES.
"""

from collections.abc import Mapping
from types import MappingProxyType

from officeai_proxy.prices.price import Price

_OPENAI = {
    "gpt-5.1": Price(1.25, 10, 0.125),
    "gpt-5.1-chat": Price(1.25, 10, 0.125),
    "gpt-5": Price(1.25, 10, 0.125),
    "gpt-5-chat": Price(1.25, 10, 0.125),
    "gpt-5-mini": Price(0.25, 2, 0.025),
    "gpt-5-nano": Price(0.05, 0.4, 0.005),
    "gpt-5-pro": Price(15, 120),
    "gpt-4.1": Price(2, 8, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "gpt-4o": Price(2.5, 10, 1.25),
    "gpt-4o-2024-05-13": Price(5, 15),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "gpt-4-turbo": Price(10, 30),
    "gpt-4": Price(30, 60),
    "gpt-4-0613": Price(30, 60),
    "gpt-3.5-turbo": Price(0.5, 1.5),
    "gpt-3.5-turbo-0125": Price(0.5, 1.5),
    "gpt-3.5-turbo-1106": Price(1, 2),
    "o1": Price(15, 60, 7.5),
    "o1-mini": Price(1.1, 4.4, 0.55),
    "o1-pro": Price(150, 600),
    "o3": Price(2, 8, 0.5),
    "o3-mini": Price(1.1, 4.4, 0.55),
    "o3-pro": Price(20, 80),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "text-embedding-3-small": Price(0.02),
    "text-embedding-3-large": Price(0.13),
    "text-embedding-ada-002": Price(0.1),
}

_ANTHROPIC = {
    "claude-opus-4-1": Price(15, 75, 1.5),
    "claude-opus-4": Price(15, 75, 1.5),
    "claude-sonnet-4-5": Price(3, 15, 0.3, most_input=200_000),
    "claude-sonnet-4": Price(3, 15, 0.3, most_input=200_000),
    "claude-haiku-4-5": Price(1, 5, 0.1),
    "claude-3-7-sonnet": Price(3, 15, 0.3),
    "claude-3-5-sonnet": Price(3, 15, 0.3),
    "claude-3-5-haiku": Price(0.8, 4, 0.08),
    "claude-3-opus": Price(15, 75, 1.5),
    "claude-3-haiku": Price(0.25, 1.25, 0.03),
}

_OTHERS = {
    "gemini-2.5-pro": Price(1.25, 10, 0.125, most_input=200_000),
    "gemini-2.5-flash": Price(0.3, 2.5, 0.03),
    "gemini-2.5-flash-lite": Price(0.1, 0.4, 0.01),
    "gemini-2.0-flash": Price(0.1, 0.4, 0.025),
    "grok-4": Price(3, 15, 0.75, most_input=128_000),
    "grok-3": Price(3, 15, 0.75),
    "grok-3-mini": Price(0.3, 0.5, 0.075),
}

KNOWN: Mapping[str, Price] = MappingProxyType({**_OPENAI, **_ANTHROPIC, **_OTHERS})
"""A model's name, in lower case and without a date, to its price."""
