"""JSON log lines on stdout, one object a line, from the standard library's logging."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

LOGGER = logging.getLogger("services")


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: timestamp, level, service, event, then the fields of the event."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "timestamp": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(service: str, stream: TextIO = sys.stdout) -> None:
    """Send every log line of this process to `stream` as JSON. Of libraries, only warnings and errors are logged."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)


def log(level: int, event: str, *, cause: BaseException | None = None, **fields: Any) -> None:
    """Write one event with its fields. With `cause`, the traceback is written too."""
    LOGGER.log(level, event, extra={"fields": fields}, exc_info=cause)


class OncePerSecond:
    """Writes an event at most once a second, with the number of times it happened since the last line."""

    def __init__(self, level: int, event: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._level = level
        self._event = event
        self._now = now
        self._since_last = 0
        self._quiet_until = float("-inf")

    def __call__(self, **fields: Any) -> None:
        self._since_last += 1
        now = self._now()
        if now < self._quiet_until:
            return
        log(self._level, self._event, requests=self._since_last, **fields)
        self._since_last = 0
        self._quiet_until = now + 1.0
