"""The read side over HTTP: conversations, messages, users and the call log; never the upstream."""

from officeai_proxy.history import calls, conversations, messages, users

ROUTERS = (conversations.router, messages.router, users.router, calls.router)
"""What an app includes to serve the read side."""
