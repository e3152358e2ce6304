"""How much is measured: the full plan, whose figures count, and the quick one, which proves that
everything runs. Plain values; nothing here measures.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of all loads. Times are in seconds, gaps between streamed events in milliseconds."""

    rounds: int = 5
    seconds: float = 5.0
    warm_seconds: float = 1.0
    connections: int = 64
    streams: int = 256
    many_streams: int = 1000
    stream_events: int = 64
    gap_ms: int = 20
    many_gap_ms: int = 50
    calls_per_session: int = 10
    journaled: int = 20_000
    conversations: int = 100
    early_turns: int = 20
    late_turn: int = 1000
    late_turns: int = 8
    talk_batches: int = 10
    talk_turns: tuple[int, int] = (1000, 10_000)
    stored_messages: int = 200_000
    size_sessions: int = 200

    def stream_seconds(self, gap_ms: int) -> float:
        """How long one stream lasts; the upstream adds four events to those with content."""
        return (self.stream_events + 4) * gap_ms / 1000


FULL = Plan()

QUICK = Plan(
    rounds=1,
    seconds=1.0,
    warm_seconds=0.2,
    connections=16,
    streams=32,
    many_streams=100,
    stream_events=16,
    journaled=500,
    conversations=10,
    early_turns=2,
    late_turn=100,
    late_turns=2,
    talk_batches=1,
    talk_turns=(50, 100),
    stored_messages=2_000,
    size_sessions=10,
)
