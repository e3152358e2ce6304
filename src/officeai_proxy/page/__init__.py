"""The web page at `/ui`: conversations, search, exports, numbers; HTML out, never a call made."""

from officeai_proxy.page.application import install

__all__ = ["install"]
