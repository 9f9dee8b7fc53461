"""Reads a service's log: its JSON lines become LogLines, and the digest keeps the ones that matter."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from mirr.chaos.fleet import Fleet
from mirr.env.logs import STARTED, digest
from mirr.env.vocabulary import Service
from mirr.env.world import Level, LogLine

_LINES_READ = 10_000  # per reading: more than the busiest service writes in an episode
_RECENT_LINES = 400  # of these, the ones that are read whole; the digest keeps few of them

_SHOWN_ELSEWHERE = frozenset({"timestamp", "level", "service", "event", "trace_id", "traceback"})


def read_log(fleet: Fleet, service: Service, *, since: float, now: float) -> tuple[LogLine, ...]:
    """The digest of what the service wrote from the Unix time `since` to `now`. Raises FleetError.

    Of what is not recent, only the starts count. Warnings and errors from before say little about now. But a busy
    service writes 400 lines in ten seconds, and its start would be gone by then."""
    raw = fleet.logs(service, since=since, tail=_LINES_READ)
    recent = [line for one in raw[-_RECENT_LINES:] if (line := parse_line(one, now=now)) is not None]
    # Looking for the word first saves reading thousands of lines as JSON.
    earlier = [parse_line(one, now=now) for one in raw[:-_RECENT_LINES] if STARTED in one]
    return digest([line for line in earlier if line is not None and line.event == STARTED] + recent)


def parse_line(raw: str, *, now: float) -> LogLine | None:
    """One raw line of stdout, read at the Unix time `now`. None if it is empty.

    A line that is not JSON becomes an error line. It may be a traceback of the interpreter, and people see those."""
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
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return LogLine(age_s=0.0, level=Level.ERROR, event="stderr", text=raw[:300])


def _rest(entry: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in entry.items() if key not in _SHOWN_ELSEWHERE)
