"""The read side over HTTP: conversations, messages, users and the call log; never the upstream."""

from officeai_proxy.history import (
    calls,
    conversations,
    exports,
    imports,
    messages,
    search,
    stats,
    users,
)

# An address with a fixed word comes before one with a session in its place.
ROUTERS = (
    search.router,
    exports.router,
    imports.router,
    conversations.router,
    messages.router,
    users.router,
    calls.router,
    stats.router,
)
"""What an app includes to serve the read side."""
