"""How a key stands against its limits in, OpenAI's `x-ratelimit-…` headers out; counts nothing."""

from dataclasses import dataclass

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit: how much there is, how much is left, and in how many seconds all of it is.

    `reset_seconds` is None where nobody can know: a call that runs ends when it ends.
    """

    limit: int
    remaining: int
    reset_seconds: float | None = None


def standing_headers(
    requests: Standing | None, tokens: Standing | None, running: Standing | None
) -> list[Header]:
    """The headers that tell of a key's limits; none of a limit that it does not have.

    OpenAI has no name for calls at one time; ours, for *running*, is made like its others.
    """
    headers: list[Header] = []
    kinds = ((b"requests", requests), (b"tokens", tokens), (b"concurrency", running))
    for kind, standing in kinds:
        if standing is None:
            continue
        headers += (
            (b"x-ratelimit-limit-" + kind, b"%d" % standing.limit),
            (b"x-ratelimit-remaining-" + kind, b"%d" % standing.remaining),
        )
        if standing.reset_seconds is not None:
            reset = duration(standing.reset_seconds).encode()
            headers.append((b"x-ratelimit-reset-" + kind, reset))
    return headers


def duration(seconds: float) -> str:
    """*seconds* as OpenAI writes them: `6ms`, `0s`, `59.9s`, `1m0.5s`."""
    milliseconds = max(0, round(seconds * 1000))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
