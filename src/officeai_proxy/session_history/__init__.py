"""Conversations as a Python service for agents: in memory, in the proxy's database, over HTTP.

This package can be used without the proxy's server: it imports no web framework.
"""

from officeai_proxy.model import Role
from officeai_proxy.session_history.database import DatabaseSessionHistoryService
from officeai_proxy.session_history.http import HttpSessionHistoryService
from officeai_proxy.session_history.in_memory import InMemorySessionHistoryService
from officeai_proxy.session_history.messages import Content, Message, Session, TextContent
from officeai_proxy.session_history.service import SessionHistoryService

__all__ = [
    "Content",
    "DatabaseSessionHistoryService",
    "HttpSessionHistoryService",
    "InMemorySessionHistoryService",
    "Message",
    "Role",
    "Session",
    "SessionHistoryService",
    "TextContent",
]
