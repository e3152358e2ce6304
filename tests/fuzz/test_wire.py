"""Whatever bytes an upstream or a client sends, the readers of the wire stay calm."""

from hypothesis import strategies as st
from tests.fuzz.mangling import every_seed, fuzzed, mangled

from officeai_proxy.model import Json
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.messages import extra_of, rebuild, role_of, text_of
from officeai_proxy.wire.replies import read_reply
from officeai_proxy.wire.requests import read_request, replace_model
from officeai_proxy.wire.sse import EventReader, read_events
from officeai_proxy.wire.usage import usage_in

LIMIT = 1024 * 1024


def check_events(data: bytes, cuts: list[int]) -> None:
    """Any cuts give the same events, and no more text than came."""
    whole = read_events(data)
    reader, cut = EventReader(), []
    places = sorted({place % (len(data) + 1) for place in cuts})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        cut += reader.feed(data[start:end])
    cut += reader.flush()

    assert cut == whole
    assert sum(len(event.data) + len(event.name) for event in whole) <= len(data)
    for event in whole:
        assert event.data


def check_reply(data: bytes, content_type: str, encoding: str) -> None:
    """A reply is read without any exception, and its text is no longer than what came."""
    reply = read_reply(data, content_type=content_type, content_encoding=encoding, limit=LIMIT)

    for choice in reply.choices:
        check_message(choice.message)
    assert sum(len(text_of(choice.message)) for choice in reply.choices) <= max(len(data), LIMIT)


def check_message(message: dict[str, Json]) -> None:
    """What is stored of a message gives it back whole."""
    role, text = role_of(message), text_of(message)
    content = text.encode("utf-8", "replace").decode() if "\0" in text else text
    try:
        content.encode()
    except UnicodeEncodeError:
        # Half a character is replaced in what is stored, and kept in the extra.
        content = content.encode("utf-8", "replace").decode()

    assert len(role) <= 16
    assert rebuild(role, content, extra_of(message)) == message


def check_json(data: bytes) -> None:
    """A value or a ValueError; what is read can be written and read again."""
    try:
        value = jsontext.loads(data)
    except ValueError:
        return
    text = jsontext.dumps(value)

    assert "\0" not in text
    assert text.encode()
    again = jsontext.loads(text)
    assert again == value
    assert jsontext.dumps(again) == text
    if isinstance(value, dict):
        check_message(value)


def check_request(data: bytes) -> None:
    """A chat request or a ValueError; a new model's name changes nothing else."""
    try:
        chat = read_request(data, encoding="", limit=LIMIT)
    except ValueError:
        return
    if chat.model is None:
        return
    changed = replace_model(data, asked=chat.model, sent="other")
    before, after = jsontext.loads(data), jsontext.loads(changed)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after == {**before, "model": "other"}
    assert list(after) == list(before)


def check_usage(data: bytes) -> None:
    """JSON text out of the data, or nothing."""
    found = usage_in(data)

    assert found is None or found in data.decode("utf-8", "replace")


KINDS = ("", "text/event-stream", "application/json", "text/html; charset=\xff")
ENCODINGS = ("", "gzip", "deflate", "gzip, gzip", "identity")


@every_seed("events")
def test_every_cut_of_a_known_stream(data: bytes) -> None:
    """The corpus, cut at every byte."""
    for place in range(len(data) + 1):
        check_events(data, [place])
    check_events(data, list(range(len(data))))
    check_reply(data, "text/event-stream", "")


@fuzzed(data=mangled("events"), cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_events(data: bytes, cuts: list[int]) -> None:
    """Mangled streams, cut anywhere."""
    check_events(data, cuts)


@fuzzed(
    data=st.one_of(mangled("events"), mangled("json")),
    kind=st.sampled_from(KINDS),
    encoding=st.sampled_from(ENCODINGS),
)
def test_replies(data: bytes, kind: str, encoding: str) -> None:
    """Mangled replies, whatever they say they are."""
    check_reply(data, kind, encoding)
    check_usage(data)


@every_seed("json")
def test_known_json(data: bytes) -> None:
    """The corpus of JSON texts."""
    check_json(data)
    check_request(data)
    check_usage(data)
    for kind in KINDS:
        check_reply(data, kind, "")


@fuzzed(data=mangled("json"))
def test_json(data: bytes) -> None:
    """Mangled JSON."""
    check_json(data)
    check_request(data)


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
_fields = st.sampled_from(
    ["role", "content", "refusal", "audio", "tool_calls", "text", "type", "transcript", "name", "_"]
)


@fuzzed(message=st.dictionaries(_fields | st.text(max_size=4), _values, max_size=6))
def test_messages(message: dict[str, Json]) -> None:
    """Objects that resemble messages, with anything in their fields."""
    check_message(message)
