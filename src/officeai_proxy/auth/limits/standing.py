"""How a key stands against its limits in, OpenAI's `x-ratelimit-…` headers out; counts nothing."""

from dataclasses import dataclass

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit: how much there is, how much is left, and in how many seconds all of it is."""

    limit: int
    remaining: int
    reset_seconds: float


def standing_headers(requests: Standing | None, tokens: Standing | None) -> list[Header]:
    """The headers that tell of a key's limits; none of a limit that it does not have."""
    headers: list[Header] = []
    for kind, standing in ((b"requests", requests), (b"tokens", tokens)):
        if standing is not None:
            headers += (
                (b"x-ratelimit-limit-" + kind, b"%d" % standing.limit),
                (b"x-ratelimit-remaining-" + kind, b"%d" % standing.remaining),
                (b"x-ratelimit-reset-" + kind, duration(standing.reset_seconds).encode()),
            )
    return headers


def duration(seconds: float) -> str:
    """*seconds* as OpenAI writes them: `6ms`, `0s`, `59.9s`, `1m0.5s`."""
    milliseconds = max(0, round(seconds * 1000))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    return f"{minutes}m{text}" if minutes else text
