"""About how many tokens a call will take."""

import pytest

from officeai_proxy.auth.limits.estimate import ANSWER_TOKENS, NO_TOKENS, estimate_tokens

JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind"), [(None, JSON), (b"", JSON), (b"RIFF....", "audio/wav"), (b"{}", "")]
)
def test_what_is_no_text_takes_none(body: bytes | None, kind: str):
    """A call without JSON has no tokens that anybody could guess."""
    assert estimate_tokens(body, content_type=kind) == NO_TOKENS


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"messages": []}', ANSWER_TOKENS),
        (b'{"max_tokens": 7}', 7),
        (b'{"max_completion_tokens":7, "n" : 3}', 21),
        (b'{"max_tokens": 7, "max_completion_tokens": 9}', 9),
        (b'{"max_output_tokens": 5}', 5),
        (b'{"max_tokens": null, "n": 2}', 2 * ANSWER_TOKENS),
        (rb'{"content": "say \"max_tokens\": 99999"}', ANSWER_TOKENS),
        (b'{"max_tokens": 1.5e9}', ANSWER_TOKENS),
        (b'{"max_tokens": 99999999999999}', ANSWER_TOKENS),
    ],
)
def test_the_answer_is_what_the_request_allows(body: bytes, answer: int):
    """The keys of the request count, words in its texts do not; nonsense counts as nothing said."""
    estimate = estimate_tokens(body, content_type=JSON)

    assert estimate.answer == answer
    assert estimate.prompt == -(-len(body) // 4)
