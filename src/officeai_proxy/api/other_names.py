"""Other names of query parameters: a request that uses them in, the route's own names out.

The call log says `user` and `session`, conversations say `user_identifier` and `session_id`. Who
took the one for the other would get a list that nothing narrows down, without a word about it.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

from fastapi import Request
from fastapi.dependencies.models import Dependant

from officeai_proxy.errors import UnprocessableInput

_ALIKE = (("user", "user_identifier"), ("session", "session_id"))


class OtherNames:
    """The names that a route understands beside those of its own parameters."""

    def __init__(self, dependant: Dependant) -> None:
        """Look at the query parameters of the route that *dependant* is about.

        `known` are all that it understands.
        """
        own = frozenset(_names(dependant))
        self.known = own | {other for pair in _ALIKE if own & set(pair) for other in pair}
        self._own_of = {
            other: name
            for pair in _ALIKE
            for name, other in (pair, pair[::-1])
            if name in own and other not in own
        }

    def resolved(self, request: Request) -> Request:
        """*request* as it is if it uses none of them, else one with the route's own names.

        Raises:
            UnprocessableInput: both names of a parameter are given, and differ.
        """
        given = request.query_params
        used = [other for other in self._own_of if other in given]
        if not used:
            return request
        for other in used:
            own = self._own_of[other]
            if own in given and given[own] != given[other]:
                raise UnprocessableInput(
                    f"`{other}` is another name of `{own}`; give one of them.", param=other
                )
        pairs = [(self._own_of.get(name, name), text) for name, text in given.multi_items()]
        query = urlencode(pairs).encode()
        return Request({**request.scope, "query_string": query}, request.receive)


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
