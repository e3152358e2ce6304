"""Pieces of tool calls in, whole tool calls out; never guesses an id that was not sent.

Pieces name the call they belong to by `index` (OpenAI API reference, "Chat completion chunk").
Several servers leave the index out, send the same one for every call, repeat names and ids in
every piece or send them empty, or send the one call where a list should be; `ToolCalls` sorts that
out.
"""

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.cleantext import joined
from officeai_proxy.wire.jsontext import dumps, loads

_ARGUMENT_KEYS = {"function": "arguments", "custom": "input"}


class ToolCall:
    """One call in the making; a legacy `function_call` is one without an id."""

    def __init__(self, order: int = 0) -> None:
        """Begin an empty call; *order* is its place among the calls of its message."""
        self.order = order
        self.id = ""
        self.has_arguments = False
        """Whether any text of the arguments has come."""
        self._names: list[str] = []
        self._name_size = 0
        self._arguments: list[str] = []
        self._type = ""
        self._body_key = ""
        self._body_rest: JsonObject = {}
        self._rest: JsonObject = {}

    @property
    def has_name(self) -> bool:
        """Whether any text of the name has come."""
        return self._name_size > 0

    def is_called(self, name: str) -> bool:
        """Whether all that has come of the name is *name*."""
        return len(name) == self._name_size and name == self._name()

    @property
    def came_whole(self) -> bool:
        """Whether all that has come of the arguments is one piece, which lacks nothing."""
        return len(self._arguments) == 1 and _is_whole(self._arguments[0])

    def add(self, piece: JsonObject) -> None:
        """Take one piece: id and type are set once, name and arguments grow, the rest is kept."""
        for key, value in piece.items():
            if key == "id":
                self.id = self.id or _text(value)
            elif key == "type":
                self._type = self._type or _text(value)
            elif key in _ARGUMENT_KEYS:
                if isinstance(value, dict):
                    self._body_key = self._body_key or key
                    self.add_body(value)
            elif key != "index" and value is not None:
                self._rest[key] = value

    def add_body(self, body: JsonObject) -> None:
        """Take one piece of the part that holds name and arguments."""
        for key, value in body.items():
            if key == "name":
                self._add_name(_text(value))
            elif key in _ARGUMENT_KEYS.values():
                self._add_arguments(value)
            elif value is not None:
                self._body_rest[key] = value

    def _add_name(self, piece: str) -> None:
        # A name that goes on repeats what is there or is the next fragment; most are repeats.
        if len(piece) >= self._name_size and piece.startswith(self._name()):
            self._names = [piece]
            self._name_size = len(piece)
        else:
            self._names.append(piece)
            self._name_size += len(piece)

    def _name(self) -> str:
        """The name so far; asked for beside a piece as long, it costs no more than that does."""
        if len(self._names) > 1:
            self._names = ["".join(self._names)]
        return self._names[0] if self._names else ""

    def _add_arguments(self, piece: Json) -> None:
        if isinstance(piece, str):
            self._arguments.append(piece)
            self.has_arguments |= bool(piece)
        elif isinstance(piece, (dict, list)):
            # Servers that send a value instead of text send it whole.
            self._arguments = [dumps(piece)]
            self.has_arguments = True

    def body(self) -> JsonObject:
        """Name and arguments; the latter are text, "" when none came."""
        key = _ARGUMENT_KEYS[self._kind]
        return {"name": self._name(), key: joined(self._arguments), **self._body_rest}

    def whole(self) -> JsonObject:
        """The call as it stands in a message."""
        call: JsonObject = {"id": self.id or None, "type": self._type or self._kind}
        if self._body_key or call["type"] in _ARGUMENT_KEYS:
            call[self._kind] = self.body()
        return {**call, **self._rest}

    @property
    def _kind(self) -> str:
        if self._body_key:
            return self._body_key
        return self._type if self._type in _ARGUMENT_KEYS else "function"


class ToolCalls:
    """The tool calls of one choice.

    A piece finds its call by name, however many there are: a model may call tools without end.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._calls: list[ToolCall] = []
        self._newest_of: dict[int, ToolCall] = {}
        self._by_id: dict[str, ToolCall] = {}
        self._by_place: dict[tuple[int, str], ToolCall] = {}
        self._free_index = 0

    def add(self, pieces: Json) -> None:
        """Take the `tool_calls` of one delta; what is no object and no list of them is skipped.

        Hugging Face's TGI and some builds of LiteLLM send the call itself instead of a list.
        """
        if pieces and isinstance(pieces, dict):
            pieces = [pieces]
        if not isinstance(pieces, list):
            return
        items = [piece for piece in pieces if isinstance(piece, dict)]
        if 1 < len(items) <= len(self._calls) and not any(map(_names_its_call, items)):
            # Kimi's: one for each of the calls, in their order.
            for call, item in zip(self._calls, items, strict=False):
                call.add(item)
            return
        for item in items:
            self._add_item(item)

    def _add_item(self, item: JsonObject) -> None:
        call = self._call_of(item)
        was_named = bool(call.id)
        call.add(item)
        if call.id and not was_named:
            self._by_id[call.id] = self._by_place[call.order, call.id] = call

    def whole(self) -> list[Json]:
        """The calls in the order of their indexes."""
        return [call.whole() for call in sorted(self._calls, key=lambda call: call.order)]

    def _call_of(self, piece: JsonObject) -> ToolCall:
        index = piece.get("index")
        if not isinstance(index, int):
            return self._call_without_index(piece)
        known = self._by_place.get((index, _text(piece.get("id"))))
        if known is not None:
            return known
        newest = self._newest_of.get(index)
        return self._begin(index) if newest is None or _is_another(piece, newest) else newest

    def _call_without_index(self, piece: JsonObject) -> ToolCall:
        identifier = _text(piece.get("id"))
        known = self._by_id.get(identifier)
        if known is not None:
            return known
        last = self._calls[-1] if self._calls else None
        is_known = last is not None and (bool(last.id) or last.has_name)
        if last is None or (identifier and is_known) or (_name(piece) and last.has_name):
            return self._begin(self._free_index)
        return last

    def _begin(self, order: int) -> ToolCall:
        call = self._newest_of[order] = ToolCall(order)
        self._calls.append(call)
        self._free_index = max(self._free_index, order + 1)
        return call


def _is_another(piece: JsonObject, call: ToolCall) -> bool:
    """Whether *piece* begins another call than *call*, though it has the same index."""
    name, identifier = _name(piece), _text(piece.get("id"))
    if not name:
        return False
    if identifier and call.id:
        return identifier != call.id
    # Fragments of a name come before the arguments; another after them is the next call's. Gemini
    # calls one tool several times under one index without ids: then each comes whole.
    if call.is_called(name):
        # The piece first: what has come may be long, and most pieces that repeat a name are short.
        return _is_whole(_arguments(piece)) and call.came_whole
    return call.has_name and call.has_arguments


def _names_its_call(piece: JsonObject) -> bool:
    return isinstance(piece.get("index"), int) or bool(_text(piece.get("id")) or _name(piece))


def _name(piece: JsonObject) -> str:
    for key in _ARGUMENT_KEYS:
        body = piece.get(key)
        if isinstance(body, dict) and body.get("name"):
            return _text(body["name"])
    return ""


def _arguments(piece: JsonObject) -> Json:
    body = piece.get("function")
    return body.get("arguments") if isinstance(body, dict) else None


def _is_whole(arguments: Json) -> bool:
    """Whether *arguments*, or their JSON text, are an object."""
    if isinstance(arguments, str) and arguments.lstrip().startswith("{"):
        try:
            return isinstance(loads(arguments), dict)
        except ValueError:
            return False
    return isinstance(arguments, dict)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
