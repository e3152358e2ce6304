"""What servers write beside JSON, and JSON that broke off anywhere."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.wire import loosejson
from officeai_proxy.wire.jsontext import MAX_DEPTH
from officeai_proxy.wire.loosejson import loads_loosely

REPLY = {
    "id": "x",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": 'The "ans\\wer" is 42 你好 😀 \\u12'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 10, "share": -1.5e3, "is_final": True, "others": [], "more": {}},
}


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_text_cut_off_anywhere_keeps_what_had_begun(ascii_only: bool, indent: int | None) -> None:
    """Every beginning is read, and none has less than a shorter one had."""
    text = json.dumps(REPLY, ensure_ascii=ascii_only, indent=indent)
    before = 0
    for end in range(1, len(text)):
        value, is_whole = loads_loosely(text[:end])
        assert not is_whole
        now = len(json.dumps(value, ensure_ascii=False))
        # Half of a pair of escapes is written with more characters than both together.
        assert now >= before - len('"\\ud83d"')
        before = now
    assert loads_loosely(text) == (REPLY, True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a":"x\\ud83', {"a": "x"}),
        ('{"a":"x\\\\u12', {"a": "x\\u12"}),
        ('{"a":"x\\', {"a": "x"}),
        ('{"a":tru', {}),
        ('{"a":12', {}),
        ('{"a":12,', {"a": 12}),
        ('{"a":1,"b', {"a": 1}),
        ('{"a":1,"b":', {"a": 1}),
        ("[[1,2],[3", [[1, 2], []]),
        ('{"a":NaN,"b":"c', {"a": None, "b": "c"}),
    ],
)
def test_what_had_not_begun_is_not_there(text: str, value: object) -> None:
    """Numbers and words count when something follows them, names when their value has begun."""
    assert loads_loosely(text) == (value, False)


def test_what_python_writes_is_read() -> None:
    """NaN, infinities and numbers without end say nothing, and cost nothing else."""
    text = '{"a": NaN, "b": -Infinity, "c": 1e999, "d": ' + "9" * 5000 + ', "e": "said"}'
    assert loads_loosely(text) == ({"a": None, "b": None, "c": None, "d": None, "e": "said"}, True)


def test_what_is_nested_too_deeply_is_left_out() -> None:
    """The rest of the text is there."""
    deep = "[" * (MAX_DEPTH + 50) + "]" * (MAX_DEPTH + 50)
    value, is_whole = loads_loosely(f'{{"said": "yes", "deep": {deep}}}')

    assert is_whole
    assert isinstance(value, dict)
    assert value["said"] == "yes"
    assert str(value["deep"]).count("[") == MAX_DEPTH - 1


@pytest.mark.parametrize("text", ["", " ", "x", "{]", "hello {", '{"a" 1}', "[" * 100_000])
def test_what_never_was_json_is_refused(text: str) -> None:
    """Nothing is made up."""
    with pytest.raises(ValueError, match=r"."):
        loads_loosely(text)


def test_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long text that was cut off, or is all brackets and no JSON, the beginning is read."""
    monkeypatch.setattr(loosejson, "MOST_TOKENS", 9)
    assert loads_loosely("[1,2,3,4,5,6,7") == ([1, 2, 3, 4], False)
    assert loads_loosely("[NaN," + "[]," * 9 + "1]") == ([None, [], []], False)


@given(st.text(st.sampled_from('{}[]:,"\\u0da1 NaNtrue-.e'), max_size=40))
@settings(deadline=None)
def test_any_text_is_read_or_is_a_value_error(text: str) -> None:
    """Nothing but a ValueError comes out, and what comes out can be written."""
    try:
        value, _ = loads_loosely(text)
    except ValueError:
        return
    json.dumps(value, allow_nan=False)
