"""Chat requests: what is refused, what is read, and a model's name replaced in place."""

import gzip
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json
from officeai_proxy.wire.requests import ChatRequest, read_request, replace_model


def request_in(body: bytes, encoding: str = "") -> ChatRequest:
    """The request that *body* is read as."""
    return read_request(body, encoding=encoding, limit=10_000)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"5", b'"x"', b"{", b"{}x", b"\xff{}", b"NaN"]
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    """The message is fit for the person who sent it."""
    with pytest.raises(
        ValueError, match=r"^the body (must be a JSON object|is not valid JSON: .+)$"
    ):
        request_in(body)


def test_a_body_that_cannot_be_unpacked_is_refused() -> None:
    """Unknown encodings, broken, cut and too large bodies are refused with the reason."""
    packed = gzip.compress(b'{"model": "m"}')
    for body, encoding, reason in (
        (packed, "br", "not supported"),
        (b"{}", "gzip", "not valid gzip"),
        (packed[:-9], "gzip", "cut off"),
        (gzip.compress(b" " * 10_001), "gzip", "larger than"),
    ):
        with pytest.raises(ValueError, match=reason):
            request_in(body, encoding)


@pytest.mark.parametrize("value", [None, 5, "x", {}, True])
def test_what_the_recorder_does_not_understand_it_leaves_out(value: Json) -> None:
    """Whether a strange request is served is the upstream's decision."""
    nothing = ChatRequest(None, stream=False, messages=())
    body = {"messages": value, "model": None, "stream": None}
    assert request_in(json.dumps(body).encode()) == nothing
    body = {"messages": [value, {"role": "user"}, []], "model": 5, "stream": 1}
    odd = request_in(json.dumps(body).encode())
    kept: tuple[Json, ...] = ({}, {"role": "user"}) if value == {} else ({"role": "user"},)
    assert odd == ChatRequest(None, stream=False, messages=kept)  # type: ignore[arg-type]


def test_an_empty_object_is_a_request() -> None:
    """Missing fields are the upstream's to refuse."""
    assert request_in(b" {} ") == ChatRequest(None, stream=False, messages=())


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_request_is_read(encoding: str) -> None:
    """Model, stream and messages as they were sent."""
    message = {"role": "user", "content": "hi\ud83d", "id": 123456789012345678901234567890}
    body = json.dumps({"model": "m", "stream": True, "messages": [message]}).encode()
    data = gzip.compress(body) if encoding else body
    assert request_in(data, encoding) == ChatRequest("m", stream=True, messages=(message,))


@pytest.mark.parametrize(
    ("body", "replaced"),
    [
        ('{"model":"a"}', '{"model":"b"}'),
        (' { "model" :\n "a" , "x":[ 1.0 ]}\n', ' { "model" :\n "b" , "x":[ 1.0 ]}\n'),
        ('{"metadata":{"model":"a"},"model":"a"}', '{"metadata":{"model":"a"},"model":"b"}'),
        ('{"model":"a","tools":[{"model":"a"}]}', '{"model":"b","tools":[{"model":"a"}]}'),
        ('{"model":"a","model":"a"}', '{"model":"b","model":"b"}'),
        ('{"model":"old","model":"a"}', '{"model":"b","model":"b"}'),
        ('{"model":null,"model":"a"}', '{"model":null,"model":"b"}'),
        (r'{"mo\u0064el":"a"}', r'{"mo\u0064el":"b"}'),
        (r'{"\u006Dodel":"\u0061","y":"é"}', r'{"\u006Dodel":"b","y":"é"}'),
        (r'{"x":{"model":"a"},"\u006dodel":"a"}', r'{"x":{"model":"a"},"\u006dodel":"b"}'),
        (r'{"x":"\"model\":\"a\"","model":"a"}', r'{"x":"\"model\":\"a\"","model":"b"}'),
        (r'{"x\"model":"a","model":"a"}', r'{"x\"model":"a","model":"b"}'),
        (r'{"x":"\\","model":"a"}', r'{"x":"\\","model":"b"}'),
        ('{"x":"]}{[","model":"a"}', '{"x":"]}{[","model":"b"}'),
        ('{"x":["model"],"y":"model","model":"a"}', '{"x":["model"],"y":"model","model":"b"}'),
        ('{"model":"z"}', '{"model":"z"}'),
        ('{"x":[{"model":"a"},{"model":"a"}]}', '{"x":[{"model":"a"},{"model":"a"}]}'),
        ('{"Model":"a"}', '{"Model":"a"}'),
    ],
)
def test_only_the_top_level_name_is_replaced(body: str, replaced: str) -> None:
    """Every other byte stays, nested names and look-alikes in texts too."""
    assert replace_model(body.encode(), asked="a", sent="b").decode() == replaced


@pytest.mark.parametrize(
    ("asked", "sent"), [("模型", "gpt-4o"), ('quo"te\\', "模型"), ("a/b:c", 'x"y'), ("", "b")]
)
def test_names_may_hold_any_character(asked: str, sent: str) -> None:
    """Escaped or not, a name is found, and what is sent is JSON again."""
    for ascii_only in (True, False):
        body = json.dumps({"x": [1.50], "model": asked}, ensure_ascii=ascii_only)
        replaced = replace_model(body.encode(), asked=asked, sent=sent)
        assert json.loads(replaced) == {"x": [1.50], "model": sent}
        assert replaced.startswith(b'{"x": [1.5], "model": ')


NAMES = st.sampled_from(["model", "x", "mo", 'model"', "\\model", "模"])
VALUES = st.recursive(
    st.sampled_from(["a", "b", '"model":"a"', "\\", "{[", 1, None]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(NAMES, children, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=300)
def test_replacing_is_like_setting_the_field(
    body: dict[str, Json], ascii_only: bool, escaped: bool
) -> None:
    """Whatever else the body holds and however it is spelled, only `model` changes."""
    body["model"] = "a"
    text = json.dumps(body, ensure_ascii=ascii_only)
    if escaped:
        text = re.sub(r'(?<!\\)"model"', r'"m\\u006fdel"', text)
    replaced = replace_model(text.encode(), asked="a", sent="new")
    assert json.loads(replaced) == body | {"model": "new"}
    assert replace_model(replaced, asked="new", sent="a") == text.encode()
