"""Structured logs: one JSON object per line on standard error, which SageMaker sends to CloudWatch. Never a photo."""

import json
import logging
import sys
from typing import Any, Final

logger: Final = logging.getLogger("serving")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the record's ``fields`` and any traceback in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: int = logging.INFO) -> None:
    """Send every logger's lines from ``level`` on to standard error; uvicorn's only from warnings on; Python's too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
