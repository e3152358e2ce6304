"""A request's body in, about how many tokens the call will take out; never the real number."""

import re
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
"""Of English text; other languages and pictures differ, and the real number comes afterwards."""

ANSWER_TOKENS = 1000
"""What an answer is taken for when the request sets no limit."""

# A quote inside a JSON string has a stroke before it: what is found here are keys.
_NUMBER = re.compile(
    rb'(?<!\\)"(max_tokens|max_completion_tokens|max_output_tokens|n)"\s*:\s*(\d{1,9})(?![\d.eE])'
)


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Tokens of the question and room for the answers; both 0 when the call has no text."""

    prompt: int = 0
    answer: int = 0

    @property
    def total(self) -> int:
        """Question and answers together."""
        return self.prompt + self.answer


NO_TOKENS = TokenEstimate()


def estimate_tokens(body: bytes | None, *, content_type: str) -> TokenEstimate:
    """About the tokens of a call with *body*; a body that is not JSON takes none."""
    if not body or "json" not in content_type:
        return NO_TOKENS
    answer, choices = 0, 1
    for name, digits in _NUMBER.findall(body):
        if name == b"n":
            choices = max(choices, int(digits))
        else:
            answer = max(answer, int(digits))
    return TokenEstimate(-(-len(body) // BYTES_PER_TOKEN), (answer or ANSWER_TOKENS) * choices)
