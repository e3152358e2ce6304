"""Decoded chunks of one streamed reply in, its choices, usage and error out; never raises.

Chunks are those of the OpenAI API reference ("Chat completion chunk") and what compatible servers
make of them. A field that a server leaves out, sends as null or sends in a shape of its own adds
nothing, and never costs the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from officeai_proxy.model import Json, JsonObject
from officeai_proxy.wire.cleantext import joined
from officeai_proxy.wire.extras import Extras, GrowingObject, ReasoningDetails, joined_summaries
from officeai_proxy.wire.parts import joined_text, text_of_part, text_of_piece
from officeai_proxy.wire.runs import Run
from officeai_proxy.wire.toolcalls import ToolCall, ToolCalls

_MANY = 3
"""Choices that are tokens, at least; two may be what they say."""

REFERENCES = ("citations", "search_results", "web_search")
"""What Perplexity, xAI and Zhipu found on the web, beside the choices of a reply."""


class ChoiceAssembler:
    """Puts one choice together."""

    def __init__(self, index: int) -> None:
        """Begin an empty choice."""
        self.index = index
        self.finish_reason: str | None = None
        self._role = ""
        self._content: list[Json] | None = None
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._reasoning_key = "reasoning"
        self._thought: GrowingObject | None = None
        self._details = ReasoningDetails()
        self._tool_calls = ToolCalls()
        self._function_call: ToolCall | None = None
        self._audio: GrowingObject | None = None
        self._extras = Extras()
        self._had_delta = False
        self._message: JsonObject | None = None

    def add(self, item: JsonObject) -> None:
        """Take one item of a chunk's `choices`."""
        reason = item.get("finish_reason")
        if reason and isinstance(reason, str):
            self.finish_reason = reason
        delta = item.get("delta")
        message = item.get("message")
        if delta and isinstance(delta, dict):
            self._had_delta = True
            content = delta.get("content")
            if len(delta) == 1 and isinstance(content, str):
                self._add_piece(content)
            else:
                self._add_delta(delta)
        elif (text := item.get("text")) and isinstance(text, str):
            # A server that serves all by one handler sends the chunks of a completion.
            self._had_delta = True
            self._add_piece(text)
        elif message and isinstance(message, dict):
            # Perplexity repeats the reply so far in each chunk, beside the delta.
            self._message = message

    def message(self) -> JsonObject:
        """The message so far, as a client would have got it in one piece."""
        if not self._had_delta and self._message is not None:
            return self._message
        optional: JsonObject = {
            "refusal": joined(self._refusal),
            self._reasoning_key: self._thought.whole()
            if self._thought
            else joined(self._reasoning),
            "reasoning_details": self._details.whole(),
            "tool_calls": self._tool_calls.whole(),
            "function_call": self._function_call.body() if self._function_call else None,
            "audio": self._audio.whole() if self._audio else None,
        }
        return {
            "role": self._role or "assistant",
            "content": self._whole_content(),
            **{key: value for key, value in optional.items() if value},
            **self._extras.whole(),
        }

    def _whole_content(self) -> Json:
        if self._content is None:
            return None
        texts = [piece for piece in self._content if isinstance(piece, str)]
        if len(texts) == len(self._content):
            return joined(texts)
        parts: list[Json] = []
        for is_text, run in groupby(self._content, key=lambda piece: isinstance(piece, str)):
            pieces = list(run)
            said = joined([piece for piece in pieces if isinstance(piece, str)])
            if not is_text:
                parts += joined_summaries(pieces)
            elif said:
                parts.append({"type": "text", "text": said})
        return parts

    def _add_delta(self, delta: JsonObject) -> None:
        if "reasoning" in delta and delta["reasoning"] == delta.get("reasoning_content"):
            # The same thought under both names, for clients of either.
            delta = {key: value for key, value in delta.items() if key != "reasoning"}
        for key, value in delta.items():
            if value is None:
                continue
            add = _FIELDS.get(key)
            if add is None:
                self._extras.add(key, value)
            else:
                add(self, value)

    def _add_role(self, value: Json) -> None:
        if isinstance(value, str):
            self._role = self._role or value

    def _add_content(self, value: Json) -> None:
        text = text_of_piece(value)
        if text is not None:
            self._add_piece(text)
        elif value and isinstance(value, dict):
            # Some send the one part where a list should be.
            self._add_part(value)
        elif isinstance(value, list):
            for part in value:
                self._add_part(part)

    def _add_part(self, part: Json) -> None:
        text = text_of_part(part)
        if isinstance(part, dict) and part.get("type") == "thinking":
            # Mistral's form of reasoning: a list of text parts inside a part.
            self._reasoning.append(joined_text(part.get("thinking")))
        else:
            self._add_piece(part if text is None else text)

    def _add_piece(self, piece: Json) -> None:
        if self._content is None:
            self._content = []
        self._content.append(piece)

    def add_texts(self, texts: Sequence[Json]) -> None:
        """Take the texts of deltas that say nothing else."""
        if self._content is not None:
            self._content.extend(texts)

    def _add_refusal(self, value: Json) -> None:
        if isinstance(value, str):
            self._refusal.append(value)

    def _add_reasoning(self, value: Json) -> None:
        text = text_of_piece(value)
        if text is not None:
            if self._thought is None:
                self._reasoning.append(text)
            else:
                self._thought.add({"text": text})
        elif isinstance(value, dict):
            # Envoy's gateway hands on what Bedrock thinks: objects with texts, then a signature.
            if self._thought is None:
                self._thought = GrowingObject("text")
                self._thought.add({"text": joined(self._reasoning)} if self._reasoning else {})
            self._thought.add(value)

    def _add_reasoning_content(self, value: Json) -> None:
        self._reasoning_key = "reasoning_content"
        self._add_reasoning(value)

    def _add_function_call(self, value: Json) -> None:
        if isinstance(value, dict):
            self._function_call = self._function_call or ToolCall()
            self._function_call.add_body(value)

    def _add_audio(self, value: Json) -> None:
        if isinstance(value, dict):
            self._audio = self._audio or GrowingObject("transcript", "data")
            self._audio.add(value)


_FIELDS: Mapping[str, Callable[[ChoiceAssembler, Json], None]] = MappingProxyType(
    {
        "role": ChoiceAssembler._add_role,
        "content": ChoiceAssembler._add_content,
        "refusal": ChoiceAssembler._add_refusal,
        "reasoning": ChoiceAssembler._add_reasoning,
        "reasoning_content": ChoiceAssembler._add_reasoning_content,
        "reasoning_details": lambda choice, value: choice._details.add(value),
        "tool_calls": lambda choice, value: choice._tool_calls.add(value),
        "function_call": ChoiceAssembler._add_function_call,
        "audio": ChoiceAssembler._add_audio,
        "obfuscation": lambda _choice, _value: None,  # Random padding against eavesdroppers.
    }
)


class StreamAssembler:
    """Puts the reply of one stream together, chunk by chunk."""

    def __init__(self) -> None:
        """Begin an empty reply."""
        self.model: str | None = None
        self.usage: JsonObject | None = None
        self.failure: JsonObject | None = None
        self.without_choices: JsonObject | None = None
        """The last chunk, where it has none; it may say why the answer does not go on."""
        self.is_damaged = False
        """Whether a chunk could not be read, so that something of the reply is missing."""
        self._choices: dict[int, ChoiceAssembler] = {}
        self._pieces = 0
        self._references: JsonObject = {}

    @property
    def choices(self) -> list[ChoiceAssembler]:
        """The choices seen so far, by index."""
        return [choice for _, choice in sorted(self._choices.items())]

    def add(self, chunk: JsonObject) -> None:
        """Take one chunk."""
        self._add_top(chunk)
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            self.without_choices = chunk
            return
        for item in choices:
            if isinstance(item, dict):
                self.without_choices = None
                self._pieces += 1
                self._choice_of(item).add(item)
                if "usage" in item:
                    self._add_usage(item["usage"])
                if item.get("error"):
                    # OpenRouter's form, where one of its providers fails in the middle.
                    self.failure = self.failure or item

    def add_run(self, run: Run) -> None:
        """Take chunks that are alike: what they share counts once, and their texts are added."""
        self.add(run.first)
        choices = run.first["choices"]
        if isinstance(choices, list) and isinstance(choices[0], dict):
            self._pieces += len(run.texts) - 1
            self._choice_of(choices[0]).add_texts(run.texts[1:])

    def join_choices(self) -> None:
        """Make one of choices of which each came in one piece, and at most one has ended.

        Foundry Local and early versions of TGI count with `index` the tokens of the one answer.
        """
        choices = self.choices
        ended = [choice for choice in choices if choice.finish_reason]
        is_counted = self._pieces <= len(choices) + len(ended)
        if len(choices) < _MANY or len(ended) > 1 or not is_counted:
            return
        whole = ChoiceAssembler(0)
        for choice in choices:
            whole.add({"delta": choice.message(), "finish_reason": choice.finish_reason})
        self._choices = {0: whole}

    def message(self, choice: ChoiceAssembler) -> JsonObject:
        """The message of *choice*, with what the chunks said of the whole reply."""
        return {**choice.message(), **self._references}

    def _choice_of(self, item: JsonObject) -> ChoiceAssembler:
        index = item.get("index")
        place = index if isinstance(index, int) else 0
        choice = self._choices.get(place)
        if choice is None:
            choice = self._choices[place] = ChoiceAssembler(place)
        return choice

    def _add_top(self, chunk: JsonObject) -> None:
        get = chunk.get
        model = get("model")
        if model and isinstance(model, str):
            self.model = model
        if get("error"):
            self.failure = self.failure or chunk
        usage = get("usage")
        if usage:
            self._add_usage(usage)
        groq = get("x_groq")
        if groq and isinstance(groq, dict):
            self._add_top({"error": groq.get("error"), "usage": groq.get("usage")})
        for key in REFERENCES:
            if value := get(key):
                self._references[key] = value

    def _add_usage(self, usage: Json) -> None:
        # Servers count up from chunk to chunk, or say it once: the last count is the whole.
        if usage and isinstance(usage, dict):
            self.usage = usage
