"""What the service writes to standard error: text for a person, or JSON lines for a machine.

Never what a learner typed, what a deck holds, or a secret; every line of a request has its id.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum

request_id: ContextVar[str] = ContextVar("request_id", default="")

_TALKATIVE = (
    "openai",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "LiteLLM",
    "litellm",
    "asyncio",
    "urllib3",
)
"""Libraries that log bodies, addresses or headers when asked for more; they are never asked."""


class LogFormat(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


LEVELS = ("debug", "info", "warning", "error")


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return f"{line} [{request_id.get()}]" if request_id.get() else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def setup(style: LogFormat = LogFormat.TEXT, level: str = "warning") -> None:
    """Send all log lines to standard error. `level` is that of our own lines; others warn only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if style is LogFormat.JSON else _Text())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("freerecall").setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
