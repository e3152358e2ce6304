"""A model's name as a server gives it in, the names that a price list may have for it out."""

import re
from collections.abc import Iterator

_DATE = re.compile(r"-(?:\d{4}-\d\d-\d\d|\d{8}|latest)\Z")

_MAKERS = ("openai/", "anthropic/", "google/", "models/", "deepseek/", "x-ai/", "xai/")


def names_of(model: str) -> Iterator[str]:
    """*model* as it is written, then without its maker's name, then without its date.

    What stands behind a colon is never cut off: fine-tuned models and free ones have other prices.
    """
    yield model
    name = model.lower()
    for maker in _MAKERS:
        name = name.removeprefix(maker)
    yield name
    yield _DATE.sub("", name)
