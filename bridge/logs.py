"""The services' JSON log lines as LogLines."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from mirr.env.world import Level, LogLine

_SHOWN_ELSEWHERE = frozenset({"timestamp", "level", "service", "event", "trace_id", "traceback"})


def parse_line(raw: str, *, now: float) -> LogLine | None:
    """One raw line as written to stdout, read at the Unix time `now`; None where there is nothing to show.
    A line that is not JSON (an interpreter's traceback, say) is kept as an error line, for it is what one would see."""
    if not raw.strip():
        return None
    try:
        entry = json.loads(raw)
        if not isinstance(entry, dict):
            raise TypeError("not an object")
        return LogLine(
            age_s=max(0.0, now - datetime.fromisoformat(entry["timestamp"]).timestamp()),
            level=Level(entry["level"].lower()),
            event=str(entry["event"]),
            text=_rest(entry),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return LogLine(age_s=0.0, level=Level.ERROR, event="stderr", text=raw[:300])


def _rest(entry: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in entry.items() if key not in _SHOWN_ELSEWHERE)
