"""A new key within the key that makes it: silence, or `NotAllowed` and why; makes no key."""

from datetime import datetime

from officeai_proxy.errors import NotAllowed
from officeai_proxy.model import ApiKey, Caller, Limits

NO_LIMITS = Limits()


def check_within(caller: Caller, key: ApiKey) -> None:
    """Let *caller* have *key* only if it opens nothing that the caller's own key does not.

    Raises:
        NotAllowed: it does; `param` names the field.
    """
    if key.workspace != caller.workspace:
        raise NotAllowed(
            "A key can only make keys of its own workspace; leave `workspace` out.",
            param="workspace",
        )
    if beyond := sorted(key.scopes - caller.scopes):
        raise NotAllowed(
            f"Your key does not have {', '.join(f'`{scope}`' for scope in beyond)}, and can "
            "make no key that has; leave it out of `scopes`.",
            param="scopes",
        )
    if caller.user is not None and key.user != caller.user:
        raise NotAllowed(
            "Your key is bound to one user, and can only make keys of that user; leave `user` out.",
            param="user",
        )
    if _is_later(key.expires_at, caller.expires_at):
        raise NotAllowed(
            "The key would outlive yours; give a shorter `expires`, or leave it out.",
            param="expires",
        )
    _check_limits(key.limits or NO_LIMITS, caller.limits or NO_LIMITS)


def _is_later(moment: datetime | None, end: datetime | None) -> bool:
    return end is not None and (moment is None or moment > end)


def _check_limits(given: Limits, own: Limits) -> None:
    for name in ("rpm", "tpm", "concurrency"):
        most, asked = getattr(own, name), getattr(given, name)
        if most is not None and (asked is None or asked > most):
            raise NotAllowed(
                f"Your key's own `{name}` is {most}, and the new key's may not be higher; give at "
                "most that, or leave it out.",
                param=name,
            )
