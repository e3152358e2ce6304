"""Which calls of the log are wanted, as a value, and the conditions that this is in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, false, not_, or_

from officeai_proxy.model import LISTED_NAME
from officeai_proxy.storage.calls.numbers import is_error
from officeai_proxy.storage.conditions import where_given
from officeai_proxy.storage.tables import exchanges

_x = exchanges.c


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are wanted. `model` is the one asked for or served, `api` the path.

    `after` includes its moment, `before` does not. Times are milliseconds, and the bounds belong to
    what is wanted. `has_error` is as in statistics (`storage.calls.numbers.is_error`).
    """

    user: str | None = None
    session: str | None = None
    model: str | None = None
    key: str | None = None
    upstream: str | None = None
    method: str | None = None
    client_ip: str | None = None
    outcome: str | None = None
    api: str | None = None
    exchange_id: str | None = None
    status: int | None = None
    stream: bool | None = None
    has_error: bool | None = None
    min_latency_ms: float | None = None
    max_latency_ms: float | None = None
    min_ttft_ms: float | None = None
    after: datetime | None = None
    before: datetime | None = None

    @property
    def names_only_times(self) -> bool:
        """Whether nothing but `after` and `before` narrows the log."""
        others = [one.name for one in fields(self) if one.name not in ("after", "before")]
        return all(getattr(self, name) is None for name in others)


def conditions_of(wanted: CallFilter) -> Sequence[ColumnElement[bool]]:
    """The conditions that keep what is wanted."""
    return where_given(
        (wanted.user, _x.user_identifier.__eq__),
        (wanted.session, _x.session_id.__eq__),
        (wanted.model, _has_model),
        (wanted.key, _x.key_id.__eq__),
        (wanted.upstream, _x.upstream.__eq__),
        (wanted.method, _x.method.__eq__),
        (wanted.client_ip, _x.client_ip.__eq__),
        (wanted.outcome, _x.outcome.__eq__),
        (wanted.api, _x.path.__eq__),
        (wanted.exchange_id, _has_id),
        (wanted.status, _has_status),
        (wanted.stream, _x.stream.is_),
        (wanted.has_error, _has_error),
        (wanted.min_latency_ms, _x.latency_ms.__ge__),
        (wanted.max_latency_ms, _x.latency_ms.__le__),
        (wanted.min_ttft_ms, _x.ttft_ms.__ge__),
        (wanted.after, _x.started_at.__ge__),
        (wanted.before, _x.started_at.__lt__),
    )


def _has_model(model: str) -> ColumnElement[bool]:
    name = model[:LISTED_NAME]
    return or_(_x.model_asked == name, _x.model_served == name)


def _has_id(text: str) -> ColumnElement[bool]:
    """What is no UUID is the id of no call."""
    try:
        return _x.exchange_id == UUID(text)
    except ValueError:
        return false()


def _has_status(status: int) -> ColumnElement[bool]:
    """A number that the column cannot hold is the status of no call."""
    return _x.status_code == status if 0 <= status < 2**31 else false()


def _has_error(wanted: bool) -> ColumnElement[bool]:
    return is_error(_x) if wanted else not_(is_error(_x))
