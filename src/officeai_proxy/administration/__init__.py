"""What an administrator asks and changes over HTTP: keys, the audit log; never a conversation."""

from fastapi import APIRouter

from officeai_proxy.administration import audit, keys

ROUTERS: tuple[APIRouter, ...] = (keys.router, audit.router)
"""What an app includes to serve administration."""
