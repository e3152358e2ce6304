"""Replies as vendors send them: streams, JSON, errors, and what only looks like one of them."""

import gzip
import json
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from officeai_proxy.model import Json, JsonObject, Usage
from officeai_proxy.wire.encoding import UnknownEncoding
from officeai_proxy.wire.failures import ReplyError
from officeai_proxy.wire.replies import Choice, Reply, read_reply, read_usage

LIMIT = 1_000_000
STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"
DONE = "data: [DONE]\n\n"


def reply_to(body: str | bytes, content_type: str = STREAM, content_encoding: str = "") -> Reply:
    """The reply that *body* is read as."""
    data = body.encode() if isinstance(body, str) else body
    return read_reply(
        data, content_type=content_type, content_encoding=content_encoding, limit=LIMIT
    )


def event(chunk: Json) -> str:
    """An event of a stream."""
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def chunk(delta: JsonObject, *, index: int = 0, reason: str | None = None, **top: Json) -> str:
    """An event with one delta in the form of OpenAI's chunks."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
    return event({"id": "chatcmpl-1", "model": "m-1", "choices": [choice]} | top)


def said(content: Json, reason: str | None = "stop", index: int = 0, **fields: Json) -> Choice:
    """A choice with a message of the assistant."""
    return Choice(index, {"role": "assistant", "content": content, **fields}, reason)


def called(name: str, arguments: str | None = None) -> JsonObject:
    """A piece of the first tool call."""
    return {"tool_calls": [{"index": 0, "function": {"name": name, "arguments": arguments}}]}


def tool_call(identifier: str | None, name: str, arguments: str) -> JsonObject:
    """A whole function call."""
    function: JsonObject = {"name": name, "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function}


NO_REPLIES = [
    *(b"", b"   ", b"[]", b"5", b"null", b'"text"', b"{}", b"[5]", b'{"id": 1', b"[" * 10_000),
    *(b"<html>502 Bad Gateway</html>", b"upstream connect error: reset", b"\xff\xfe\x00"),
    *(b"data: not json\n\n", b"data: 5\n\ndata: []\n\n", b": ping\n\n"),
    b'{"choices": [5, null, {}, {"message": null}, {"message": "x"}]}',
]


@pytest.mark.parametrize("content_type", [STREAM, JSON, "", "text/html"])
@pytest.mark.parametrize("body", NO_REPLIES)
def test_what_is_no_reply_gives_no_choices(body: bytes, content_type: str) -> None:
    """Bodies that cannot be understood are empty, unfinished replies, not errors of ours."""
    assert reply_to(body, content_type) == Reply((), Usage(), None, None, finished=False)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_an_undecodable_body_tells_why(encoding: str) -> None:
    """A body that is broken is an error with our reason."""
    reply = reply_to(b"\x0b\x05plain", JSON, encoding)
    assert reply.choices == ()
    assert reply.error is not None
    assert reply.error.code == "undecodable_body"
    assert "gzip" in reply.error.message


@pytest.mark.parametrize("encoding", ["compress", "gzip, x-new", "x-new, gzip"])
def test_an_unknown_encoding_is_no_reply_without_an_answer(encoding: str) -> None:
    """The answer is there for whoever can read it, so that nobody may take it for missing."""
    with pytest.raises(UnknownEncoding):
        reply_to(gzip.compress(b"anything"), JSON, encoding)
    assert reply_to(b"", JSON, encoding) == Reply((), Usage(), None, None, finished=False)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, ("m", "t", "c")),
        ({"error": {"message": "m", "code": 429}}, ("m", None, "429")),
        ({"error": {"code": True}}, ('{"code":true}', None, None)),
        ({"error": "plain"}, ("plain", None, None)),
        ({"code": "denied", "error": "no"}, ("no", None, "denied")),
        ({"detail": "Not Found"}, ("Not Found", None, None)),
        ({"detail": [{"msg": "bad"}]}, ('[{"msg":"bad"}]', None, None)),
        ({"object": "error", "message": "m", "type": "t", "code": 404}, ("m", "t", "404")),
        ([{"error": {"message": "m", "status": "X"}}], ("m", None, None)),
        ({"error": {"message": "a\0\ud800"}}, ("a␀\ufffd", None, None)),
        ({"error": True}, ("true", None, None)),
        (
            {"code": 20012, "message": "No such model", "data": None},
            ("No such model", None, "20012"),
        ),
        (
            {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no balance"}},
            ("no balance", None, "1008"),
        ),
        ({"code": 500, "msg": "no route", "success": False}, ("no route", None, "500")),
        (
            {"success": False, "errors": [{"code": 7003, "message": "No"}], "result": None},
            ("No", None, "7003"),
        ),
        (
            {"errors": {"message": "No such model"}, "request_id": "r"},
            ("No such model", None, None),
        ),
        ({"error_code": 336003, "error_msg": "too long", "id": "x"}, ("too long", None, "336003")),
        ({"object": "error", "text": "no worker", "error_code": 1}, ("no worker", None, "1")),
    ],
)
def test_errors_in_json_are_told_in_any_form(
    body: Json, error: tuple[str, str | None, str | None]
) -> None:
    """OpenAI's, OpenRouter's, xAI's, Mistral's, vLLM's, Gemini's and other forms are known."""
    expected = Reply((), Usage(), None, ReplyError(*error), finished=False)
    assert reply_to(json.dumps(body), JSON) == expected


@pytest.mark.parametrize("error", [None, "", {}, [], False, 0])
def test_an_empty_error_is_none(error: Json) -> None:
    """Only a truthy `error` is one, and `detail` beside choices is none."""
    body: JsonObject = {"error": error, "detail": "x", "message": "x"}
    body["choices"] = [{"message": {"content": "a"}}]
    body["base_resp"] = {"status_code": 0, "status_msg": ""}
    assert reply_to(json.dumps(body), JSON).error is None


def test_json_keeps_the_message_as_it_was() -> None:
    """The upstream's message object is unchanged; index and finish reason may be missing."""
    message = {"content": [{"type": "text", "text": "a"}], "odd": {"x": None}, "refusal": None}
    body = {
        "model": "gpt\0",
        "choices": [{"message": message}, {"message": {}, "index": 7, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    choices = (Choice(0, message, None), Choice(7, {}, "stop"))
    expected = Reply(choices, Usage(1, 2, 3), "gpt␀", None, finished=True)
    assert reply_to(json.dumps(body), JSON) == expected


def test_the_choices_of_json_are_in_the_order_of_their_indexes() -> None:
    """The first of them is read as the answer, as in a stream."""
    said = [
        {"index": n, "message": {"content": str(n)}, "finish_reason": "stop"} for n in (2, 0, 1)
    ]
    reply = reply_to(json.dumps({"choices": said}), JSON)
    assert [choice.message["content"] for choice in reply.choices] == ["0", "1", "2"]


@pytest.mark.parametrize("nothing", [{}, {"message": None}])
def test_an_answer_that_a_filter_took_is_one_without_words(nothing: JsonObject) -> None:
    """Azure leaves the message out of JSON, where a stream of the same has one that is empty."""
    filtered = {"index": 0, "finish_reason": "content_filter", "logprobs": None, **nothing}
    body = json.dumps({"choices": [filtered], "model": "m-1", "usage": {"total_tokens": 3}})
    reply = reply_to(body, JSON)
    choices = (said(None, "content_filter"),)
    assert reply == Reply(choices, Usage(None, None, 3), "m-1", None, finished=True)
    assert reply.choices == reply_to(chunk({}, reason="content_filter") + DONE).choices
    # What a connection that broke off has not brought yet, nobody took.
    assert reply_to(body[:-1], JSON).choices == ()


@pytest.mark.parametrize("content_type", [JSON, STREAM])
@pytest.mark.parametrize("end", ["data: [DONE]\n\n", "\n\ndata: [DONE]", "data:[DONE]"])
def test_the_end_of_a_stream_behind_json_is_nothing(end: str, content_type: str) -> None:
    """A gateway ends every answer so, also one that is no stream."""
    body = {"choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}]}
    reply = reply_to(json.dumps(body) + end, content_type)
    assert ([choice.message["content"] for choice in reply.choices], reply.finished) == (
        ["yes"],
        True,
    )


def test_a_chunk_as_a_whole_body_is_an_answer() -> None:
    """Some servers answer so where nobody asked for a stream: it is not one without words."""
    body = chunk({"content": "yes"}, reason="stop").removeprefix("data: ")
    reply = reply_to(body, JSON)
    assert (reply.choices, reply.finished) == ((said("yes"),), True)


@pytest.mark.parametrize("content_type", [JSON, STREAM, "", "text/plain"])
@pytest.mark.parametrize("before", ["", "\n\n  \n", "\ufeff"])
def test_json_is_known_by_how_it_starts(before: str, content_type: str) -> None:
    """Blank lines before the brace and a wrong content type do not hide JSON."""
    body = before + json.dumps({"choices": [{"message": {"content": "a"}}]})
    assert reply_to(body, content_type).finished


@pytest.mark.parametrize("content_type", [STREAM, "TEXT/EVENT-STREAM;charset=UTF-8", JSON, ""])
@pytest.mark.parametrize("before", ["", ": ping\n\n", "\ufeff", "event: x\nid: 1\n", "\n"])
def test_a_stream_is_known_by_how_it_starts(before: str, content_type: str) -> None:
    """Comments, names and a byte order mark may come first; some streams come as JSON."""
    reply = reply_to(before + chunk({"content": "a"}) + DONE, content_type)
    assert reply.choices == (said("a", None),)
    assert reply.finished


def test_a_stream_is_finished_by_done_or_by_its_reasons() -> None:
    """Without [DONE] every choice must have said why it ended."""
    first, second = chunk({"content": "a"}), chunk({"content": "b"}, index=1, reason="stop")
    assert not reply_to(first).finished
    assert not reply_to(first + second).finished
    assert reply_to(second).finished
    assert reply_to(first + "data:  [DONE] ").finished
    assert reply_to(DONE).finished
    assert reply_to(event({"choices": [], "usage": USAGE}) + DONE).finished
    assert not reply_to(event({"response": "nobody reads this"}) + DONE).finished
    assert reply_to(first + second).choices == (said("a", None), said("b", "stop", 1))


def test_nothing_counts_after_done() -> None:
    """Clients stop reading there."""
    assert reply_to(chunk({"content": "a"}) + DONE + chunk({"content": "b"})).choices == (
        said("a", None),
    )


def test_a_cut_stream_keeps_what_came() -> None:
    """A chunk cut in the middle costs itself only, and a cut gzip body its end only."""
    body = (chunk({"content": "a"}) + chunk({"content": "b"}))[:-20]
    assert reply_to(body).choices == (said("a", None),)
    long = "".join(chunk({"content": f"{place},"}) for place in range(2000)).encode()
    packed = gzip.compress(long)
    reply = reply_to(packed[: len(packed) // 2], content_encoding="gzip")
    [choice] = reply.choices
    assert str(choice.message["content"]).startswith("0,1,2,3,")
    assert not reply.finished


def test_a_body_over_the_limit_is_not_unpacked() -> None:
    """A bomb is an error, not a reply."""
    reply = reply_to(gzip.compress(b" " * (LIMIT + 1)), JSON, "gzip")
    assert reply.error is not None
    assert reply.choices == ()


def test_long_integers_in_a_stream_stay_exact() -> None:
    """Ids beyond 64 bits survive in unknown fields."""
    body = chunk({"content": "a", "seed": 123456789012345678901234567890})
    assert reply_to(body).choices[0].message["seed"] == 123456789012345678901234567890


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, Usage()),
        ([], Usage()),
        ("x", Usage()),
        ({"prompt_tokens": True, "completion_tokens": "5", "total_tokens": None}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": 10**30, "total_tokens": 1e300}, Usage()),
        ({"prompt_tokens": 0, "completion_tokens": 2.0, "total_tokens": 2}, Usage(0, 2, 2)),
    ],
)
def test_counts_that_are_none_are_left_out(usage: Json, counts: Usage) -> None:
    """Garbage in the place of a number of tokens is no number."""
    assert read_usage(usage) == counts


# Streams as each vendor sends them.

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
COUNTS = Usage(9, 3, 12)


def test_openai() -> None:
    """Role chunk, text with padding, reason, usage chunk, moderation after it, [DONE]."""
    body = (
        chunk({"role": "assistant", "content": "", "refusal": None}, usage=None, obfuscation="aa")
        + chunk({"content": "你"}, usage=None, obfuscation="bb")
        + chunk({"content": "好"}, usage=None)
        + chunk({}, reason="stop", usage=None)
        + event({"id": "chatcmpl-1", "model": "m-1", "choices": [], "usage": USAGE})
        + event({"choices": [], "moderation": {"flagged": False}})
        + DONE
    )
    assert reply_to(body) == Reply((said("你好"),), COUNTS, "m-1", None, finished=True)


def test_openai_audio() -> None:
    """No finish reason, a usage chunk without choices, a last delta after it: [DONE] ends it."""
    usage = event({"id": "chatcmpl-1", "usage": USAGE})
    body = (
        chunk({"role": "assistant", "content": None, "audio": {"id": "au", "transcript": "He"}})
        + chunk({"audio": {"transcript": "y"}})
        + chunk({"audio": {"data": "AAAA"}})
        + chunk({"audio": {"data": "BBBB"}})
        + usage
        + chunk({"audio": {"expires_at": 17}})
        + DONE
    )
    audio = {"id": "au", "expires_at": 17, "transcript": "Hey", "data": "AAAABBBB"}
    reply = reply_to(body)
    assert reply == Reply((said(None, None, audio=audio),), COUNTS, "m-1", None, finished=True)


def test_azure() -> None:
    """An empty first chunk, filter results beside the delta, a choice without a delta."""
    first = {"id": "", "object": "", "model": "", "prompt_filter_results": [], "choices": []}
    late = {"index": 0, "finish_reason": None, "content_filter_results": {}, "delta": None}
    body = event(first) + chunk({"role": "assistant", "content": "Hi"}) + event({"choices": [late]})
    body += chunk({}, reason="content_filter") + DONE
    reply = reply_to(body)
    assert reply == Reply((said("Hi", "content_filter"),), Usage(), "m-1", None, finished=True)


def test_openrouter() -> None:
    """Comments between events, reasoning with details, the finish reason again with the usage."""
    comment = ": OPENROUTER PROCESSING\n\n"
    detail: JsonObject = {"type": "reasoning.text", "index": 0}

    def thought(text: str) -> str:
        delta: JsonObject = {"role": "assistant", "content": "", "reasoning": text}
        return chunk(delta | {"reasoning_details": [detail | {"text": text}]})

    body = comment + thought("h") + comment + thought("m")
    body += chunk({"role": "assistant", "content": "yes"}, reason="stop", provider="X")
    body += chunk({"role": "assistant", "content": ""}, reason="stop", usage=USAGE) + DONE
    choice = said("yes", reasoning="hm", reasoning_details=[detail | {"text": "hm"}])
    assert reply_to(body) == Reply((choice,), COUNTS, "m-1", None, finished=True)


@pytest.mark.parametrize("texts", [["Hel", "lo"], ["Hello"]])
def test_the_text_of_a_completion_is_an_answer(texts: list[str]) -> None:
    """A server that serves chats by the handler of completions says its texts without a message."""
    items: list[JsonObject] = [{"index": 0, "text": text, "finish_reason": None} for text in texts]
    items[-1]["finish_reason"] = "stop"
    stream = "".join(event({"choices": [item]}) for item in items) + DONE

    assert reply_to(stream).choices == (said("Hello"),)
    if len(items) == 1:
        assert reply_to(json.dumps({"choices": items}), JSON).choices == (said("Hello"),)


def test_openrouter_error_inside_a_chunk() -> None:
    """The text before the error stays, the numeric code becomes text."""
    error = {"code": 502, "message": "Provider died"}
    body = chunk({"content": "half"}) + chunk({"content": ""}, reason="error", error=error) + DONE
    reply = reply_to(body)
    assert reply.error == ReplyError("Provider died", None, "502")
    assert reply.choices == (said("half", "error"),)


def test_openrouter_error_inside_a_choice() -> None:
    """One of its providers fails: a choice tells of it, in a stream and in JSON."""
    error = {"code": 502, "message": "Provider died"}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": error}
    reply = reply_to(chunk({"content": "half"}) + event({"choices": [choice]}) + DONE)
    assert reply.error == ReplyError("Provider died", None, "502")
    assert reply.choices == (said("half", "error"),)
    message = {"role": "assistant", "content": "half"}
    body = {"choices": [{"message": message, "finish_reason": "error", "error": error}]}
    assert reply_to(json.dumps(body), JSON).error == ReplyError("Provider died", None, "502")


@pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource"])
def test_a_reason_that_is_a_failure_is_an_error(reason: str) -> None:
    """OpenRouter, Zhipu and DeepSeek give an answer up without any other word for it."""
    error = ReplyError("The upstream gave the answer up.", None, reason)
    reply = reply_to(chunk({"content": "half"}) + chunk({}, reason=reason) + DONE)
    assert (reply.error, reply.choices) == (error, (said("half", reason),))
    body = {"choices": [{"message": {"content": "half"}, "finish_reason": reason}]}
    assert reply_to(json.dumps(body), JSON).error == error


def test_groq_error_event() -> None:
    """`event: error` and the end without [DONE]; usage in a corner of its own."""
    error = {"error": {"message": "m", "type": "t", "code": "tool_use_failed", "status_code": 400}}
    body = chunk({"content": "x"}, x_groq={"id": "r", "usage": USAGE})
    body += f"event: error\n{event(error)}"
    expected = ReplyError("m", "t", "tool_use_failed")
    assert reply_to(body) == Reply((said("x", None),), COUNTS, "m-1", expected, finished=False)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("event: error\ndata: it broke\n\n", ReplyError("it broke", None, None)),
        ('event: error\ndata: {"message":"m","code":5}\n\n', ReplyError("m", None, "5")),
        ('error: {"error":{"message":"m","code":500}}\n\n', ReplyError("m", None, "500")),
        ('data: {"error":"plain"}\n\n', ReplyError("plain", None, None)),
    ],
)
def test_errors_in_streams_are_told_in_any_form(lines: str, error: ReplyError) -> None:
    """A named event, llama.cpp's error line or a bare object: each is an error, the text stays."""
    reply = reply_to(chunk({"content": "x"}) + lines)
    assert reply.error == error
    assert reply.choices == (said("x", None),)
    assert reply_to(lines).error == error


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({"code": 10013, "message": "No", "sid": "s"}, ReplyError("No", None, "10013")),
        (
            {"choices": None, "base_resp": {"status_code": 1027, "status_msg": "No"}},
            ReplyError("No", None, "1027"),
        ),
        ({"object": "error", "message": "No", "code": 400}, ReplyError("No", None, "400")),
        ({"text": "No", "error_code": 50001}, ReplyError("No", None, "50001")),
    ],
)
def test_a_stream_of_an_error_alone_is_that_error(told: JsonObject, error: ReplyError) -> None:
    """Spark's, MiniMax's and other forms: an event says why there is no answer, or half of one."""
    assert reply_to(event(told) + DONE).error == error
    assert reply_to(chunk({"content": "x"}) + event(told) + DONE).error == error
    # Where the answer goes on, or has ended, it is something else, which nobody here knows.
    assert reply_to(chunk({"content": "x"}) + event(told) + chunk({"content": "y"})).error is None
    assert reply_to(chunk({"content": "x"}, reason="stop") + event(told) + DONE).error is None


def test_perplexity() -> None:
    """CRLF, no [DONE], the text so far and the citations in every chunk, usage counting up."""
    parts = []
    for count, (text, so_far) in enumerate([("It", "It"), (" is[1]", "It is[1]")], 1):
        choice = {
            "index": 0,
            "delta": {"role": "assistant", "content": text},
            "finish_reason": None,
        }
        choice["message"] = {"role": "assistant", "content": so_far}
        usage = {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count}
        parts.append({"model": "sonar", "choices": [choice], "citations": ["u"], "usage": usage})
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    done: JsonObject = {"object": "chat.completion.done", "model": "sonar", "usage": USAGE}
    parts.append(done | {"choices": [choice], "citations": ["u"]})
    body = "".join(event(part) for part in parts).replace("\n", "\r\n")
    choices = (said("It is[1]", citations=["u"]),)
    assert reply_to(body) == Reply(choices, COUNTS, "sonar", None, finished=True)


@pytest.mark.parametrize("key", ["citations", "search_results", "web_search"])
def test_what_was_found_on_the_web_is_kept_in_json_and_in_streams(key: str) -> None:
    """Perplexity, xAI and Zhipu tell it beside the choices; it belongs to the answer."""
    found: Json = [{"title": "Rome", "link": "https://a.test"}]
    message: JsonObject = {"role": "assistant", "content": "It is[1]"}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], key: found}
    streamed = chunk({"content": "It is[1]"}, reason="stop", **{key: found}) + DONE
    choices = (said("It is[1]", **{key: found}),)
    assert reply_to(json.dumps(whole), JSON).choices == reply_to(streamed).choices == choices


def test_mistral_tool_calls() -> None:
    """Neither index nor type, several calls in one delta, the reason beside them."""
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "function": {"name": "g", "arguments": '{"x":1}'}},
    ]
    body = chunk({"role": "assistant", "content": ""}, p="abc")
    body += chunk({"content": "", "tool_calls": calls}, reason="tool_calls", usage=USAGE) + DONE
    whole = [tool_call("a", "f", "{}"), tool_call("b", "g", '{"x":1}')]
    choice = said("", "tool_calls", tool_calls=whole)
    assert reply_to(body) == Reply((choice,), COUNTS, "m-1", None, finished=True)


def test_gemini() -> None:
    """No id in the chunk, empty ids of calls, the whole answer at once, reason stop."""
    signed = {"google": {"thought_signature": "s"}}
    calls = [{"id": "", "extra_content": signed, "function": {"name": "f", "arguments": "{}"}}]
    item = {
        "index": 0,
        "delta": {"role": "assistant", "tool_calls": calls},
        "finish_reason": "stop",
    }
    body = event({"model": "gemini", "choices": [item], "usage": USAGE}) + DONE
    call = tool_call(None, "f", "{}") | {"extra_content": signed}
    choice = said(None, tool_calls=[call])
    assert reply_to(body) == Reply((choice,), COUNTS, "gemini", None, finished=True)


def test_deepseek() -> None:
    """Reasoning first, with null content, then text with null reasoning; usage at the end."""
    body = (
        chunk({"role": "assistant", "content": None, "reasoning_content": ""})
        + chunk({"content": None, "reasoning_content": "Let me"})
        + chunk({"content": None, "reasoning_content": " think"})
        + chunk({"content": "42", "reasoning_content": None})
        + chunk({"content": "", "reasoning_content": None}, reason="stop", usage=USAGE)
        + DONE
    )
    choice = said("42", reasoning_content="Let me think")
    assert reply_to(body) == Reply((choice,), COUNTS, "m-1", None, finished=True)


def test_cerebras() -> None:
    """Two calls under the same index, told apart by their ids."""

    def call(identifier: str, name: str) -> str:
        function = {"name": name, "arguments": "{}"}
        delta = {"index": 0, "id": identifier, "type": "function", "function": function}
        return chunk({"tool_calls": [delta]})

    body = call("a", "f") + call("b", "g") + chunk({}, reason="tool_calls", time_info={}) + DONE
    [choice] = reply_to(body).choices
    assert choice.message["tool_calls"] == [tool_call("a", "f", "{}"), tool_call("b", "g", "{}")]


def test_ollama_and_databricks() -> None:
    """The role in every chunk, or never; counts that are null until the end."""
    repeated = "".join(chunk({"role": "assistant", "content": text}) for text in "abc")
    assert reply_to(repeated).choices == (said("abc", None),)
    null = {"prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}
    never = chunk({"content": "a"}, usage=null) + chunk({}, reason="stop", usage=USAGE)
    assert reply_to(never) == Reply((said("a"),), COUNTS, "m-1", None, finished=True)


@given(
    st.binary(max_size=80)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=40).map(str.encode),
    st.sampled_from([STREAM, JSON, ""]),
    st.sampled_from(["", "gzip", "deflate", "gzip, deflate"]),
    st.sampled_from([b"", b"data: {", b"{", b'data: {"choices":[', b"error: "]),
)
@settings(deadline=None, max_examples=300)
def test_no_body_makes_the_reader_fail(
    data: bytes, content_type: str, encoding: str, before: bytes
) -> None:
    """Any bytes under any headers give a reply."""
    assert isinstance(reply_to(before + data, content_type, encoding), Reply)


@pytest.mark.parametrize("odd", ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 250 + "]" * 250])
def test_what_is_no_json_beside_an_answer_costs_nothing_of_it(odd: str) -> None:
    """Python's servers write such numbers, and Python's clients read them."""
    answer = f'{{"choices":[{{"message":{{"role":"assistant","content":"yes"}},"x":{odd}}}]}}'
    assert reply_to(answer, JSON).choices == (said("yes", None),)
    assert reply_to(answer, JSON).finished

    deltas = [chunk({"content": "It is "}), chunk({"content": "not "}, reason=None, x="odd")]
    stream = "".join(deltas).replace('"odd"', odd) + chunk({"content": "42"}, reason="stop") + DONE
    assert reply_to(stream).choices == (said("It is not 42"),)
    assert reply_to(stream).finished


def test_an_answer_that_broke_off_is_kept_as_far_as_it_came() -> None:
    """Of JSON too; and it is not finished, wherever it broke."""
    answer = {"role": "assistant", "content": "It is 42 你好."}
    body = json.dumps(
        {"choices": [{"message": answer, "finish_reason": "stop"}], "usage": {"total_tokens": 3}},
        ensure_ascii=False,
    ).encode()
    for end in range(body.index(b"It is"), len(body)):
        reply = reply_to(body[:end], JSON)
        assert not reply.finished
        (choice,) = reply.choices
        text = choice.message["content"]
        assert isinstance(text, str)
        assert "It is 42 你好.".startswith(text)
        assert text == "It is 42 你好." or end < body.index(b'."') + 1
    assert reply_to(body, JSON).finished


def test_a_stream_with_a_broken_chunk_is_not_finished() -> None:
    """Something of the answer is missing, though the stream went on to its end."""
    broken = 'data: {"choices":[{"delta":{"content":"not "}]}\n\n'
    stream = chunk({"content": "It is "}) + broken + chunk({"content": "42"}, reason="stop") + DONE
    reply = reply_to(stream)

    assert reply.choices == (said("It is 42"),)
    assert not reply.finished
    assert reply_to(stream.replace(broken, "data: ping\n\n")).finished


def test_a_character_cut_in_two_is_one_again() -> None:
    """Some servers end a chunk in the middle of an emoji."""
    halves = ('data: {"choices":[{"delta":{%s}}]}\n\n' * 2) + DONE
    for field, name in (("content", "content"), ("reasoning_content", "reasoning_content")):
        stream = halves % (f'"{field}":"hi \\ud83d"', f'"{field}":"\\ude00 bye"')
        (choice,) = reply_to(stream).choices
        assert choice.message[name] == "hi 😀 bye"
    call = '"tool_calls":[{"index":0,"function":{"name":"f","arguments":"%s"}}]'
    (choice,) = reply_to(halves % (call % "\\ud83d", call % "\\ude00")).choices
    assert choice.message["tool_calls"] == [tool_call(None, "f", "😀")]


LARGE = json.dumps({"a": ["x"] * 3000})
ENDLESS: dict[str, Callable[[int], JsonObject]] = {
    "an-object-that-grows": lambda number: {"own": {f"{number}-{n}": n for n in range(2)}},
    "a-name-that-grows": lambda number: called(f"n{number:0100}"),
    "a-name-without-arguments": lambda number: called(f"n{number}", ""),
    "a-name-again-beside-large-arguments": lambda number: called("f", None if number else LARGE),
}


@pytest.mark.parametrize("delta", ENDLESS.values(), ids=ENDLESS)
def test_no_stream_takes_time_by_its_square(delta: Callable[[int], JsonObject]) -> None:
    """An upstream may send any delta without end, and who waits for the recorder is everybody."""
    body = "".join(chunk(delta(number)) for number in range(20_000)).encode()
    began = process_time()
    reply = read_reply(body, content_type=STREAM, content_encoding="", limit=len(body))

    assert process_time() - began < 1
    assert len(reply.choices) == 1
