"""Query parameters that are given twice in, a refusal out: nobody guesses which one is meant.

No parameter of ours is a list. Frameworks take the first value or the last, and what stands before
us, such as a gateway that checks `limit`, may have looked at the other one.
"""

from collections.abc import Collection

from fastapi import Request

from officeai_proxy.errors import UnprocessableInput


def refuse_repeated(request: Request, names: Collection[str]) -> None:
    """Let *request* pass if it gives each of *names* at most once.

    Raises:
        UnprocessableInput: it does not.
    """
    given = request.query_params
    pairs = given.multi_items()
    if len(pairs) == len(given):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen and name in names:
            raise UnprocessableInput(f"{name}: Give it once.", param=name)
        seen.add(name)
