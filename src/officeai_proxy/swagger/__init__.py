"""The API page at `/docs`, served whole from this package; it never asks another host."""

from officeai_proxy.swagger.page import install

__all__ = ["install"]
