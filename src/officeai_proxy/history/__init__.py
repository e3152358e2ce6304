"""The read side over HTTP: conversations, their messages and the call log; never the upstream."""

from officeai_proxy.history import calls, conversations, messages

ROUTERS = (conversations.router, messages.router, calls.router)
"""What an app includes to serve the read side."""
