"""Fields that come in pieces beside a reply's text in, the whole fields out; never drops one.

Text is kept in pieces until it is asked for, so that a long stream costs time linear to its length.
"""

from collections.abc import Iterable
from itertools import groupby

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.cleantext import joined
from officeai_proxy.wire.jsontext import dumps

# Words that say what a piece is, in each of them: the last counts. Groq's models think in a channel
# and answer in another one.
_LABELS = frozenset({"channel", "id", "name", "phase", "status", "type"})
# Lists of things that servers send again, whole or in part: each thing counts once.
_SETS = frozenset({"annotations", "citations", "search_results", "executed_tools", "images"})


class GrowingObject:
    """An object of which some texts come in pieces; of everything else the last value counts."""

    def __init__(self, *growing: str) -> None:
        """Begin empty; the texts under the keys *growing* are appended."""
        self._growing = growing
        self._pieces: dict[str, list[str]] = {}
        self.rest: JsonObject = {}

    def add(self, piece: JsonObject) -> None:
        """Take one piece."""
        for key, value in piece.items():
            if key in self._growing and isinstance(value, str):
                self._pieces.setdefault(key, []).append(value)
            elif value not in (None, ""):
                self.rest[key] = value

    def whole(self) -> JsonObject:
        """The object so far."""
        return {**self.rest, **{key: joined(parts) for key, parts in self._pieces.items()}}


class ReasoningDetails:
    """The items of `reasoning_details` (OpenRouter, "Reasoning tokens"), by index and type."""

    def __init__(self) -> None:
        """Begin without any."""
        self._items: list[GrowingObject] = []
        self._newest_of: dict[str, GrowingObject] = {}

    def add(self, pieces: Json) -> None:
        """Take the list of one delta; what is not a list of objects is skipped."""
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                self._item_of(piece).add(piece)

    def whole(self) -> list[Json]:
        """The items in the order in which they began."""
        return [item.whole() for item in self._items]

    def _item_of(self, piece: JsonObject) -> GrowingObject:
        name = dumps([piece.get("index"), piece.get("type")])
        # An item without an index can only go on with the last one.
        known = self._newest_of.get(name)
        if known is not None and ("index" in piece or known is self._items[-1]):
            return known
        item = self._newest_of[name] = GrowingObject("text", "summary", "data")
        self._items.append(item)
        return item


def joined_summaries(parts: Iterable[Json]) -> list[Json]:
    """*parts* of a content, of which neighbours that tell one thought are one.

    Databricks sends what its models think as parts of a few characters each, where a reply in one
    piece has a single part.
    """
    whole: list[Json] = []
    for is_summary, run in groupby(parts, key=lambda part: bool(_summary_of(part))):
        if not is_summary:
            whole += run
            continue
        thought = GrowingObject("text")
        for part in run:
            for piece in _summary_of(part):
                thought.add(piece)
        whole.append({"type": "reasoning", "summary": [thought.whole()]})
    return whole


def _summary_of(part: Json) -> list[JsonObject]:
    """The texts of a part that tells a thought; none of any other part."""
    if not isinstance(part, dict) or part.keys() != {"type", "summary"}:
        return []
    summary = part["summary"]
    if part["type"] != "reasoning" or not isinstance(summary, list):
        return []
    pieces = [piece for piece in summary if isinstance(piece, dict)]
    return pieces if len(pieces) == len(summary) else []


class Extras:
    """Fields of a delta that have no rule of their own, by name."""

    def __init__(self) -> None:
        """Begin without any."""
        self._texts: dict[str, list[str]] = {}
        self._sets: dict[str, dict[str, Json]] = {}
        self._values: JsonObject = {}

    def add(self, key: str, value: Json) -> None:
        """Take one piece: texts and lists grow, unless they only repeat what is there."""
        if isinstance(value, str):
            if key in _LABELS:
                self._texts[key] = [value]
            else:
                self._texts.setdefault(key, []).append(value)
        elif isinstance(value, list):
            self._add_list(key, value)
        elif isinstance(value, dict):
            old = self._values.get(key)
            if isinstance(old, dict):
                old.update(value)
            else:
                self._values[key] = dict(value)
        elif value is not None:
            self._values[key] = value

    def whole(self) -> JsonObject:
        """The fields so far."""
        sets: JsonObject = {key: list(items.values()) for key, items in self._sets.items()}
        texts: JsonObject = {key: _joined_text(pieces) for key, pieces in self._texts.items()}
        return {**self._values, **sets, **texts}

    def _add_list(self, key: str, value: list[Json]) -> None:
        if key in _SETS:
            self._sets.setdefault(key, {}).update((dumps(item), item) for item in value)
            return
        old = self._values.get(key)
        if not isinstance(old, list):
            self._values[key] = list(value)
        elif old != value:
            old.extend(value)


def _joined_text(pieces: list[str]) -> str:
    """*pieces* in a row, or the one of them that came again and again."""
    return pieces[0] if all(piece == pieces[0] for piece in pieces) else joined(pieces)
