"""How everything logs, in every process: plain lines on standard error; never a key or a body.

What callers and upstreams write can reach a message, so that a record is made safe as a whole: it
is one line that begins with a time, or further lines that are indented and cannot pass for one.
"""

import logging
import logging.config
import re
import sys

from typing_extensions import override

from officeai_proxy.settings import Settings

MAX_RECORD = 20_000
"""Characters of one record; tracebacks of deep call stacks fit in, a body does not."""

# Terminals act on C0 and C1, and some viewers break lines at the two separators.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic) +[^\s'\",]+"), r"\1 …"),
    (re.compile(r"\bsk-[\w-]{8,}"), "sk-…"),
    (re.compile(r"://[^\s/@'\"]+@"), "://…@"),
)
"""What no module logs on purpose, and an exception of a library might."""


class _QuietUvicorn(logging.Filter):
    """Leaves out what uvicorn says of a reply broken off on purpose, as the upstream broke off."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return "returned without completing response" not in record.getMessage()


class SafeFormatter(logging.Formatter):
    """Formats a record so that nothing in it can forge another, drive a terminal or hold a key."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The lines of *record*."""
        text = super().format(record)
        if len(text) > MAX_RECORD:
            text = f"{text[:MAX_RECORD]}… ({len(text)} characters)"
        for secret, instead in _SECRETS:
            text = secret.sub(instead, text)
        text = _UNSAFE.sub(_escaped, text)
        return text.replace("\n", "\n    ")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def log_config(level: str) -> dict[str, object]:
    """How everything logs: lines on standard error, with time, level and the logger's name."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet": {"()": _QuietUvicorn}},
        "formatters": {"line": {"()": SafeFormatter, "fmt": line}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["quiet"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "officeai_proxy": {"level": level.upper()},
            "uvicorn": {"level": level.upper() if level == "debug" else "WARNING"},
        },
    }


def configure_logging(settings: Settings) -> None:
    """Log like the server does, before it runs."""
    logging.config.dictConfig(log_config(settings.log_level))
    logging.captureWarnings(capture=sys.warnoptions == [])
