"""What a raw exchange adds: messages, outcome, numbers; whatever the bytes are."""

import gzip
import json
import random
import tracemalloc

import pytest
from tests.factories import an_exchange, assistant, reply_body, request_body, user
from tests.packages import no_packages

from officeai_proxy.model import Exchange, Outcome, Usage
from officeai_proxy.recording import turns
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.wire.encoding import UnknownEncoding


@pytest.mark.parametrize(
    "junk",
    [b"", b"not json", b"[1]", b'{"messages": 3}', b"\xff\xfe", b"data: {\n\n", b"[" * 5000],
    ids=repr,
)
def test_no_bytes_make_reading_fail(junk: bytes) -> None:
    """Junk on either side gives a turn without messages from that side, never an exception."""
    kind = {"content_type": "text/event-stream"}

    turn = read_turn(an_exchange(junk, junk))
    streamed = read_turn(an_exchange(junk, junk, **kind))

    assert not turn.request
    assert turn.replies == ()
    assert streamed.replies == ()
    assert turn.call.outcome is Outcome.UPSTREAM_ERROR


def test_a_refused_request_keeps_the_question_and_the_reason() -> None:
    """What the upstream refused is recorded with its error and without an answer."""
    body = b'{"error": {"message": "too long", "type": "t", "code": "context_length_exceeded"}}'

    turn = read_turn(an_exchange(reply=body, status=400))

    assert [m.content for m in turn.request] == ["hi"]
    assert turn.replies == ()
    assert turn.call.outcome is Outcome.UPSTREAM_ERROR
    assert turn.call.error == "context_length_exceeded: too long"


def test_names_and_numbers_of_a_complete_call() -> None:
    """The model asked for is on the question, the model served on the answer, and usage counts."""
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}

    turn = read_turn(an_exchange(reply=reply_body([assistant("yes")], usage=usage)))

    (question,), (answer,) = turn.request, turn.replies
    assert (question.model_name, answer.model_name) == ("asked", "served")
    assert answer.token_count == 5
    assert answer.finish_reason == "stop"
    assert turn.call.usage == Usage(3, 5, 8)
    assert (turn.call.latency_ms, turn.call.ttft_ms) == (500.0, 100.0)


def test_tokens_of_several_choices_belong_to_none_of_them() -> None:
    """Usage counts all choices together, so that no single message can have it."""
    usage = {"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}

    turn = read_turn(an_exchange(reply=reply_body([assistant("a"), assistant("b")], usage=usage)))

    assert [answer.token_count for answer in turn.replies] == [None, None]


@pytest.mark.parametrize(
    ("events", "outcome", "text"),
    [
        (['{"choices":[{"delta":{"content":"ab"}}]}', "[DONE]"], Outcome.COMPLETE, "ab"),
        (
            ['{"choices":[{"delta":{"content":"ab"},"finish_reason":"stop"}]}'],
            Outcome.COMPLETE,
            "ab",
        ),
        (['{"choices":[{"delta":{"content":"ab"}}]}'], Outcome.UPSTREAM_ERROR, "ab"),
        (
            ['{"choices":[{"delta":{"content":"ab"}}]}', '{"error":{"message":"x"}}', "[DONE]"],
            Outcome.UPSTREAM_ERROR,
            "ab",
        ),
        (
            ['{"choices":[{"delta":{"content":"ab"},"finish_reason":"error"}]}', "[DONE]"],
            Outcome.UPSTREAM_ERROR,
            "ab",
        ),
    ],
    ids=["done", "finish reason", "stops in the middle", "error inside", "given up"],
)
def test_how_a_stream_ended_is_told_by_its_bytes(
    events: list[str], outcome: Outcome, text: str
) -> None:
    """The connection may end well and the reply still not be whole."""
    body = "".join(f"data: {event}\n\n" for event in events).encode()

    turn = read_turn(an_exchange(reply=body, content_type="text/event-stream", stream=True))

    assert turn.call.outcome is outcome
    assert [(m.content, m.outcome) for m in turn.replies] == [(text, outcome)]


TOKENS = [("Par", None), ("is", None), (".", "stop")]


@pytest.mark.parametrize("first", [0, 1, 197])
@pytest.mark.parametrize("beside", [{}, {"message": {"role": "assistant", "content": "x"}}])
def test_choices_that_are_tokens_are_one_answer(first: int, beside: dict[str, object]) -> None:
    """Foundry Local and early versions of TGI give each token an index of its own."""
    turn = read_turn(tokens(first, beside))

    assert [(answer.content, answer.outcome) for answer in turn.replies] == [
        ("Paris.", Outcome.COMPLETE)
    ]


def test_choices_that_were_asked_for_stay_what_they_are() -> None:
    """A stream that broke off may have a piece of each."""
    turn = read_turn(tokens(0, {}, n=3))

    assert [answer.content for answer in turn.replies] == ["Par", "is", "."]


def tokens(first: int, beside: dict[str, object], **asked: object) -> Exchange:
    """A call whose streamed reply has a choice for each token."""
    said = [
        {"index": first + n, "delta": {"content": text}, "finish_reason": reason} | beside
        for n, (text, reason) in enumerate(TOKENS)
    ]
    body = "".join(f"data: {json.dumps({'choices': [item]})}\n\n" for item in said)
    return an_exchange(
        json.dumps({"messages": [], **asked}).encode(),
        f"{body}data: [DONE]\n\n".encode(),
        content_type="text/event-stream",
        stream=True,
    )


def test_what_came_before_the_client_left_is_kept() -> None:
    """Half a stream is half an answer, marked as such; half an event is left out."""
    body = b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\ndata: {"choi'

    turn = read_turn(
        an_exchange(
            reply=body, content_type="text/event-stream", outcome=Outcome.CLIENT_CLOSED, stream=True
        )
    )

    (answer,) = turn.replies
    assert (answer.content, answer.outcome) == ("ab", Outcome.CLIENT_CLOSED)


def test_a_client_that_leaves_because_of_an_error_is_not_what_ended_the_call() -> None:
    """SDKs hang up when an error comes in a stream, before the upstream has ended it or after."""
    body = b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\n'
    body += b'data: {"error": {"message": "overloaded"}}\n\n'

    turn = read_turn(
        an_exchange(
            reply=body, content_type="text/event-stream", outcome=Outcome.CLIENT_CLOSED, stream=True
        )
    )

    assert (turn.call.outcome, turn.call.error) == (Outcome.UPSTREAM_ERROR, "overloaded")


def test_an_answer_that_never_began_is_no_message() -> None:
    """A role alone is not something that was said."""
    body = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'

    turn = read_turn(
        an_exchange(reply=body, content_type="text/event-stream", outcome=Outcome.CLIENT_CLOSED)
    )

    assert turn.replies == ()


def test_compressed_bodies_are_read() -> None:
    """Compression on either side is undone for the record only."""
    turn = read_turn(
        an_exchange(
            gzip.compress(request_body([user("packed")])),
            gzip.compress(reply_body([assistant("unpacked")])),
            content_encoding="gzip",
            request_encoding="gzip",
        )
    )

    assert [m.content for m in (*turn.request, *turn.replies)] == ["packed", "unpacked"]


@pytest.mark.parametrize("side", ["content_encoding", "request_encoding"])
def test_a_body_that_nobody_here_can_unpack_makes_no_turn(
    monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """A turn without what was said would look whole, and the bytes would be gone."""
    no_packages(monkeypatch)

    with pytest.raises(UnknownEncoding, match="'br'"):
        read_turn(an_exchange(**{side: "br"}))


def test_a_call_without_recording_has_numbers_only() -> None:
    """Usage found at the end of the reply is in the log; the reply is not."""
    usage = json.dumps({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})

    turn = read_turn(an_exchange(b"", b"", is_recorded=False, usage=usage))

    assert not turn.request
    assert turn.replies == ()
    assert turn.call.usage == Usage(1, 2, 3)
    assert turn.call.outcome is Outcome.COMPLETE


@pytest.mark.parametrize(("told", "served"), [("served", "served"), (None, "sent")])
def test_a_call_without_recording_has_the_model_served(told: str | None, served: str) -> None:
    """The name is that of the reply, as of a recorded one; without it, the one sent."""
    exchange = an_exchange(b"", b"", is_recorded=False, model_told=told, model_sent="sent")

    call = read_turn(exchange).call

    assert (call.model_asked, call.model_sent, call.model_served) == ("asked", "sent", served)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 2},
            },
            Usage(9, 5, 14, 4, 3, 2),
        ),
        (
            {
                "input_tokens": 9,
                "output_tokens": 5,
                "total_tokens": 14,
                "input_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(9, 5, 14, 4, 3),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(9, None, None, 4)),
        (
            {"prompt_tokens": 9, "cached_tokens": 4, "reasoning_tokens": 3},
            Usage(9, None, None, 4, 3),
        ),
        (
            {
                "prompt_tokens": 9,
                "cached_tokens": 4,
                "prompt_tokens_details": None,
                "completion_tokens_details": {},
                "reasoning_tokens": 3,
            },
            Usage(9, None, None, 4, 3),
        ),
        (
            {"cached_tokens": 7, "prompt_tokens_details": {"cached_tokens": 0}},
            Usage(None, None, None, 0),
        ),
        ({"prompt_tokens": 9, "prompt_tokens_details": "many"}, Usage(9)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": -1}}, Usage(9)),
    ],
)
def test_details_of_usage(usage: dict[str, object], read: Usage) -> None:
    """Cached, reasoning and audio tokens are read under the names that servers have for them."""
    exchange = an_exchange(b"", b"", is_recorded=False, usage=json.dumps(usage))

    assert read_turn(exchange).call.usage == read


def test_a_packed_reply_that_grows_beyond_measure_is_recorded_without_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kilobyte may unpack to gigabytes; one that grows as text does is read whatever its size."""
    monkeypatch.setattr(turns, "UNPACKED_LIMIT", 1000)
    bomb = reply_body([assistant("a" * 2000)])
    noise = reply_body([assistant(random.Random(1).randbytes(2000).hex())])

    refused, read = (
        read_turn(an_exchange(reply=gzip.compress(body), content_encoding="gzip"))
        for body in (bomb, noise)
    )

    assert refused.replies == ()
    assert refused.call.outcome is Outcome.UPSTREAM_ERROR
    assert refused.call.error is not None
    assert refused.call.error.startswith("undecodable_body: the body is larger than 1000 bytes")
    assert [len(reply.content) for reply in read.replies] == [4000]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"data: 1\n\n" * 800_000, "text/event-stream"),
        ((b"data: 1" + b"0" * 89 + b"\r\n\r\n") * 80_000, "text/event-stream"),
        (b'{"choices":[],"x":[' + b"[]," * 2_500_000 + b"0]}", "application/json"),
        (b"data: [" + b"[]," * 2_500_000 + b"0]\n\n", "text/event-stream"),
    ],
    ids=["small events", "events that are no run", "values", "values in an event"],
)
def test_a_packed_reply_takes_no_more_than_thrice_its_size(body: bytes, kind: str) -> None:
    """Whatever it unpacks to, memory is bounded by the size of what is unpacked."""
    exchange = an_exchange(reply=gzip.compress(body, 1), content_encoding="gzip", content_type=kind)

    tracemalloc.start()
    read_turn(exchange)
    (_, peak) = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3.2 * len(body)


@pytest.mark.parametrize(
    ("status", "reply", "error"),
    [
        (500, b"{}", "The upstream answered with status 500 and gave no reason."),
        (200, b"<html>", "The upstream's reply holds no answer that can be read."),
        (200, b'{"choices":[{"message":{"content":"ab', "The upstream's reply is not whole."),
        (200, b'{"error": {"message": "no", "code": "c"}}', "c: no"),
    ],
)
def test_a_reply_that_says_no_reason_is_given_one(status: int, reply: bytes, error: str) -> None:
    """Whoever reads the call log learns why a call counts as failed."""
    turn = read_turn(an_exchange(reply=reply, status=status))

    assert turn.call.outcome is Outcome.UPSTREAM_ERROR
    assert turn.call.error == error


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        (None, "The upstream answered with status 429."),
    ],
)
def test_a_refused_call_without_recording_claims_no_lack_of_a_reason(
    told: str | None, error: str
) -> None:
    """It has the upstream's word, or says no more than the status does."""
    turn = read_turn(an_exchange(b"", b"", is_recorded=False, status=429, error=told))

    assert (turn.call.outcome, turn.call.error) == (Outcome.UPSTREAM_ERROR, error)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome.SHUTDOWN, "shutting_down: The proxy was stopped before the reply had ended."),
        (Outcome.INTERRUPTED, "The proxy was killed before the reply had ended."),
        (Outcome.CLIENT_CLOSED, None),
    ],
)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_an_end_of_the_proxy_is_a_reason(
    outcome: Outcome, error: str | None, is_recorded: bool
) -> None:
    """These calls count as failed, and nobody else could say why."""
    turn = read_turn(an_exchange(reply=b"", outcome=outcome, is_recorded=is_recorded))

    assert (turn.call.outcome, turn.call.error) == (outcome, error)


def test_json_that_broke_off_is_kept_under_its_outcome() -> None:
    """As much as had come of the answer, marked with how it ended."""
    body = reply_body([assistant("It is forty-two")])

    turn = read_turn(an_exchange(reply=body[: body.index(b"-two")], outcome=Outcome.CLIENT_CLOSED))

    (answer,) = turn.replies
    assert (answer.content, answer.outcome) == ("It is forty", Outcome.CLIENT_CLOSED)
    assert turn.call.error is None
