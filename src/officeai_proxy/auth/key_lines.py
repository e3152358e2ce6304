"""A managed key as it is told, by commands and routes alike; never the key, never its digest."""

from datetime import UTC, datetime

from officeai_proxy.model import ApiKey, Json, Limits, iso_text


def key_state(key: ApiKey, now: datetime) -> str:
    """`active`, `revoked` or `expired`."""
    if key.revoked_at is not None:
        return "revoked"
    return "active" if key.is_active(now) else "expired"


def key_line(key: ApiKey, now: datetime) -> dict[str, Json]:
    """What may be known of *key*, in the order in which it is told; times are ISO 8601 in UTC."""
    limits = key.limits or Limits()
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "workspace": key.workspace,
        "scopes": [scope.value for scope in sorted(key.scopes)],
        "user_identifier": key.user,
        "state": key_state(key, now),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "concurrency": limits.concurrency,
        "replaces": key.replaces,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_text(moment.astimezone(UTC))
