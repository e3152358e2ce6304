"""How everything logs, in every process: plain lines on standard error; never a key or a body."""

import logging
import logging.config
import sys

from typing_extensions import override

from officeai_proxy.settings import Settings


class _QuietUvicorn(logging.Filter):
    """Leaves out what uvicorn says of a reply broken off on purpose, as the upstream broke off."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return "returned without completing response" not in record.getMessage()


def log_config(level: str) -> dict[str, object]:
    """How everything logs: lines on standard error, with time, level and the logger's name."""
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"quiet": {"()": _QuietUvicorn}},
        "formatters": {"line": {"format": line}},
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
