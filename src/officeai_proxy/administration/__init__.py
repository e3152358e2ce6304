"""What an administrator asks and changes over HTTP: keys, the audit log; never a conversation."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
"""What an app includes to serve administration."""
