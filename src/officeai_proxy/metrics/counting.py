"""What happens to calls in, increments of this worker's board out; a few integers a call."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.types import Message, Send

from officeai_proxy.api.dependencies import Slots
from officeai_proxy.errors import ProxyError
from officeai_proxy.health.pulse import Keeping
from officeai_proxy.metrics import catalogue
from officeai_proxy.metrics.board import NANO_DOLLARS, Board, ModelCounts
from officeai_proxy.metrics.catalogue import BOUNDS, SLOTS, Family
from officeai_proxy.model import FIRST_ERROR_STATUS, NANOSECONDS, CallRecord, Exchange, Outcome
from officeai_proxy.recording.recorder import RecorderEvent

UNAUTHORIZED = 401

_BOUNDS_NS = [int(bound * NANOSECONDS) for bound in BOUNDS[:-1]]

_FIRST_ERROR_CLASS = FIRST_ERROR_STATUS // 100


def _logged(status: int, outcome: Outcome) -> Outcome:
    """What the call log will say of a call with this class of *status* that ended like *outcome*.

    The connection may have ended well and the upstream have refused the call; see
    `recording.turns`.
    """
    is_refused = outcome is Outcome.COMPLETE and status >= _FIRST_ERROR_CLASS
    return Outcome.UPSTREAM_ERROR if is_refused else outcome


_CALLS = {
    (status, outcome): catalogue.CALLS.slot(
        catalogue.call_labels(name, _logged(status, outcome).value)
    )
    for status, name in enumerate(catalogue.STATUSES)
    for outcome in Outcome
}
_REFUSED = {
    status: catalogue.REFUSED.slot(catalogue.refusal_labels(status))
    for status in catalogue.REFUSALS
}
_REFUSED_OTHERWISE = catalogue.REFUSED.slot(catalogue.refusal_labels("other"))
_BY_CODE = {
    "invalid_api_key": catalogue.WRONG_KEYS.slot(),
    "too_many_wrong_keys": catalogue.WRONG_KEYS.slot(),
    "rate_limit_exceeded": catalogue.LIMITED.slot(),
}
_WRONG_KEYS = catalogue.WRONG_KEYS.slot()
_REQUEST_BYTES = catalogue.REQUEST_BYTES.slot()
_REPLY_BYTES = catalogue.REPLY_BYTES.slot()
_STORED = catalogue.STORED.slot()
_DROPPED = catalogue.DROPPED.slot()
_APPEND_ERRORS = catalogue.APPEND_ERRORS.slot()
_SYNC_ERRORS = catalogue.SYNC_ERRORS.slot()
_PIECE_ERRORS = catalogue.PIECE_ERRORS.slot()
_BACKLOG_BYTES = catalogue.BACKLOG_BYTES.slot()
_EVENTS = {
    RecorderEvent.INTERRUPTED: catalogue.INTERRUPTED.slot(),
    RecorderEvent.WITHHELD: catalogue.WITHHELD.slot(),
    RecorderEvent.SET_ASIDE: catalogue.SET_ASIDE.slot(),
    RecorderEvent.STORE_FAILED: catalogue.STORE_FAILURES.slot(),
}
_IN_FLIGHT = catalogue.IN_FLIGHT.slot()
_EXPORTS = catalogue.EXPORTS.slot()


class CallCounter:
    """Counts the calls of this worker."""

    def __init__(self, board: Board) -> None:
        """Count on *board*."""
        self._board = board
        self._slots = board.slots

    def began(self) -> None:
        """A call is on its way."""
        self._slots[_IN_FLIGHT] += 1

    def over(self) -> None:
        """That call is not on its way any more."""
        self._slots[_IN_FLIGHT] -= 1

    def ended(self, exchange: Exchange, *, sent: int, received: int) -> None:
        """A call ended like *exchange*, after so many bytes each way."""
        slots = self._slots
        status = 0 if exchange.status is None else min(exchange.status // 100, 5)
        slots[_CALLS[status, exchange.outcome]] += 1
        slots[_REQUEST_BYTES] += sent
        slots[_REPLY_BYTES] += received
        self._time(catalogue.DURATION, exchange.duration_ns)
        if exchange.first_byte_ns is not None:
            self._time(catalogue.TTFT, exchange.first_byte_ns)

    def refused(self, error: ProxyError) -> None:
        """A call was refused with *error*."""
        self._slots[_REFUSED.get(error.status, _REFUSED_OTHERWISE)] += 1
        slot = _BY_CODE.get(error.code or "")
        if slot is not None:
            self._slots[slot] += 1

    def watching(self, send: Send) -> Send:
        """*send* of one of our own routes; an answer that refuses its key is counted."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == UNAUTHORIZED:
                self._slots[_WRONG_KEYS] += 1
            await send(message)

        return watched

    def stored(self, calls: Sequence[CallRecord]) -> None:
        """*calls* are in the database; belongs to the recorder's thread."""
        models: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for call in calls:
            usage = call.usage
            counts = models[call.model_served or call.model_asked or ""]
            counts[0] += usage.prompt_tokens or 0
            counts[1] += usage.completion_tokens or 0
            counts[2] += round((call.cost or 0.0) * NANO_DOLLARS)
            has_tokens = bool(usage.prompt_tokens or usage.completion_tokens)
            counts[3] += has_tokens and call.cost is None
        self._slots[_STORED] += len(calls)
        for model, counts in models.items():
            if model and any(counts):
                self._board.add_model(model, ModelCounts(*counts))

    def recorder_event(self, event: RecorderEvent, count: int) -> None:
        """*event* happened *count* times; belongs to the recorder's thread."""
        self._slots[_EVENTS[event]] += count

    def keeping(self, journal: Keeping) -> None:
        """This worker's *journal* has counted this by now."""
        slots = self._slots
        slots[_DROPPED] = journal.dropped
        slots[_APPEND_ERRORS] = journal.append_errors
        slots[_SYNC_ERRORS] = journal.sync_errors
        slots[_PIECE_ERRORS] = journal.piece_errors
        slots[_BACKLOG_BYTES] = journal.backlog_bytes

    def _time(self, family: Family, nanoseconds: int) -> None:
        first = _FIRST_BUCKET[family.name]
        self._slots[first + bisect_left(_BOUNDS_NS, nanoseconds)] += 1
        self._slots[first + len(BOUNDS)] += nanoseconds


_FIRST_BUCKET = {
    family.name: SLOTS[family.samples[0]] for family in (catalogue.DURATION, catalogue.TTFT)
}


class CountedSlots:
    """Slots whose use is told by `officeai_exports_running`."""

    def __init__(self, slots: Slots, board: Board) -> None:
        """Give out what *slots* gives."""
        self._slots = slots
        self._counts = board.slots

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one of them for a while. Raises as the slots do."""
        with self._slots.one():
            self._counts[_EXPORTS] += 1
            try:
                yield
            finally:
                self._counts[_EXPORTS] -= 1
