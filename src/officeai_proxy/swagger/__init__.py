"""The API page at `/docs`, served whole from this package; it never asks another host."""

from fastapi import FastAPI

from officeai_proxy.swagger import nulls, page

__all__ = ["install"]


def install(app: FastAPI) -> None:
    """Add the page to *app*, which must be made with `docs_url=None`, and the nulls of its
    examples to what it describes.
    """
    page.install(app)
    nulls.install(app)
