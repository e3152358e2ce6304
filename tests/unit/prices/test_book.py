"""Where a price comes from: the operator's file, the table, the library; and none at all."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from uuid import UUID

import pytest

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import CallRecord, Outcome, Usage
from officeai_proxy.prices.book import MOST_SEEN, PriceBook
from officeai_proxy.prices.known import KNOWN
from officeai_proxy.prices.names import names_of
from officeai_proxy.prices.price import Price

USAGE = Usage(1_000_000, 0, 1_000_000)


def a_call(served: str | None, asked: str | None = None, usage: Usage = USAGE) -> CallRecord:
    return CallRecord(
        exchange_id=UUID(int=1),
        workspace="default",
        key_id="k",
        method="POST",
        path="/v1/chat/completions",
        upstream="u",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_ms=1.0,
        outcome=Outcome.COMPLETE,
        client_ip="127.0.0.1",
        model_served=served,
        model_asked=asked,
        usage=usage,
    )


def written(folder: Path, text: str, name: str = "prices.json") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"m": 1}',
        '{"m": {"output": 1}}',
        '{"m": {"input": "1"}}',
        '{"m": {"input": -1}}',
        '{"m": {"input": true}}',
        '{"m": {"input": null}}',
        '{"m": {"input": Infinity}}',
        '{"m": {"input": 1, "ouput": 2}}',
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, text: str) -> None:
    """What is no list of prices is told in words with the setting's name."""
    with pytest.raises(ConfigurationError, match="OFFICEAI_PRICES"):
        PriceBook.open(written(tmp_path, text))


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A path that leads nowhere is a mistake, and not a file without prices."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PriceBook.open(tmp_path / "nothing.json")


@pytest.mark.parametrize("served", ["my-own-model", "gpt-4o:free", "ft:gpt-4o:me", "", None])
def test_an_unknown_model_has_no_cost(served: str | None) -> None:
    """A model without a price costs an unknown amount, and not nothing."""
    assert PriceBook({}).cost(a_call(served)) is None


def test_a_call_without_counts_has_no_cost() -> None:
    """A reply that tells no usage is not free."""
    assert PriceBook({}).cost(a_call("gpt-4o", usage=Usage())) is None


@pytest.mark.parametrize(
    "name",
    ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "OpenAI/GPT-4o-latest", "gpt-4o-20240806"],
)
def test_a_model_is_known_by_all_of_its_names(name: str) -> None:
    """A date, a maker's name and capitals make no other model."""
    assert PriceBook({}).cost(a_call(name)) == 2.5


def test_a_dated_price_of_its_own_wins() -> None:
    """A version that costs more than its successors keeps its price."""
    assert PriceBook({}).cost(a_call("gpt-4o-2024-05-13")) == 5


def test_the_model_served_counts_before_the_one_asked_for() -> None:
    """The model asked for is a stand-in for a served one that has no price."""
    book = PriceBook({})
    assert book.cost(a_call("gpt-4o-mini", "gpt-4o")) == 0.15
    assert book.cost(a_call("local", "gpt-4o")) == 2.5


def test_the_model_sent_counts_before_the_alias() -> None:
    """A served name without a price costs what the name behind the alias does."""
    book = PriceBook({})
    assert book.cost(replace(a_call("local", "officeai"), model_sent="gpt-4o")) == 2.5
    assert book.cost(replace(a_call("gpt-4o-mini", "x"), model_sent="gpt-4o")) == 0.15
    assert book.cost(replace(a_call("local", "gpt-4o"), model_sent="gpt-4o-mini")) == 0.15


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "p.json",
            '{"gpt-4o": {"input": 7}, "gpt-4o-mini": null, "mine": {"input": 1, "output": 2}}',
        ),
        ("p.toml", "[gpt-4o]\ninput = 7\n[gpt-4o-mini]\n[mine]\ninput = 1\noutput = 2\n"),
    ],
)
def test_an_own_file_wins(tmp_path: Path, name: str, text: str) -> None:
    """Own prices replace built-in ones, take them away, and add new ones."""
    book = PriceBook.open(written(tmp_path, text, name))

    assert book.cost(a_call("gpt-4o-2024-08-06")) == 7
    assert book.cost(a_call("gpt-4o-mini")) is None
    assert book.cost(a_call("mine", usage=Usage(1000, 1000, 2000))) == 0.003
    assert book.cost(a_call("o3")) == 2


def test_the_library_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `genai-prices` is installed it tells prices that neither list has."""
    library = ModuleType("genai_prices")
    asked: list[tuple[object, str]] = []

    def calc_price(usage: object, *, model_ref: str) -> SimpleNamespace:
        asked.append((usage, model_ref))
        if model_ref != "rare-model":
            raise LookupError(model_ref)
        return SimpleNamespace(total_price=0.5)

    library.Usage = SimpleNamespace  # type: ignore[attr-defined]  # a fake of the package
    library.calc_price = calc_price  # type: ignore[attr-defined]  # as above
    monkeypatch.setitem(sys.modules, "genai_prices", library)
    book = PriceBook.open(None)

    assert book.cost(a_call("gpt-4o")) == 2.5
    assert asked == []
    usage = Usage(10, 5, 15, cached_tokens=20)
    assert book.cost(a_call("rare-model", usage=usage)) == 0.5
    assert vars(asked[0][0]) == {"input_tokens": 10, "cache_read_tokens": 10, "output_tokens": 5}
    assert book.cost(a_call("unheard-of", "also")) is None


def test_the_table_is_sound() -> None:
    """Every built-in price is one, and is found under the name that it has."""
    for name, price in KNOWN.items():
        assert name in list(names_of(name))
        assert name == name.lower()
        assert isinstance(price, Price)
        assert 0 < price.input <= 1000
        assert price.output >= 0
        assert price.cached_input is None or 0 < price.cached_input < price.input


def test_what_is_remembered_of_models_is_bounded_and_changes_no_price() -> None:
    """A caller may name any number of models, and each costs what it cost the first time."""
    book = PriceBook({"a": Price(1.0), "b": Price(2.0), "none": None})
    for number in range(2 * MOST_SEEN):
        assert book.cost(a_call(f"unknown-{number}", "a")) == 1.0
        assert book.cost(a_call("b", "a")) == 2.0
        assert book.cost(a_call("none", "a")) is None
    assert len(book._seen) <= MOST_SEEN
