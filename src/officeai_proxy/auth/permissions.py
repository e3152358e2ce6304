"""What a caller may do: questions about a `Caller`, answered by silence or by `NotAllowed`."""

from officeai_proxy.errors import NotAllowed
from officeai_proxy.model import Caller, Scope


def check_scope(caller: Caller, scope: Scope) -> None:
    """Let *caller* go on only if the key has *scope*.

    Raises:
        NotAllowed: it has not; the message names the scope.
    """
    if scope not in caller.scopes:
        raise NotAllowed(f"This needs a key with the scope `{scope}`, and yours does not have it.")


def check_unbound(caller: Caller) -> None:
    """Let *caller* go on only if the key is bound to no user, because this is about everybody.

    Raises:
        NotAllowed: it is bound to one.
    """
    if caller.user is not None:
        raise NotAllowed(
            "This tells of all users, and your key is bound to one; use one that is bound to none."
        )


def check_user(caller: Caller, user: str | None, *, param: str) -> str | None:
    """The user whom a request is about: the one it names in *param*, else the one of the key.

    Raises:
        NotAllowed: the key is bound to one user, and the request names another.
    """
    if caller.user is not None and user is not None and user != caller.user:
        raise NotAllowed(
            "This key is bound to one user, and the request names another.", param=param
        )
    return caller.user if user is None else user
