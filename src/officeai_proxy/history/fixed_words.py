"""Fixed words where a session's id could stand: their addresses are no session's, by any method.

`POST /conversations/import` takes a file. Were `DELETE /conversations/import` to delete a session
of that name, one address would be two things, and a slip of the method would delete something.
"""

from starlette.routing import Match
from starlette.types import Scope
from typing_extensions import override

from officeai_proxy.api.bodies import JsonRoute

FIXED_WORDS = frozenset(("search", "export-all", "import"))

ONE = "/conversations/{session_id}"


class SessionRoute(JsonRoute):
    """A route among those of sessions; where it is that of one, it leaves fixed words alone."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request in *scope* is for this route (Starlette)."""
        match, found = super().matches(scope)
        if match is not Match.NONE and self.path == ONE:
            session: str = found["path_params"]["session_id"]
            if session in FIXED_WORDS:
                return Match.NONE, {}
        return match, found
