"""Reading a service's log on the lab: its lines, and what is kept of a long one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mirr.bridge.logs import parse_line, read_log
from mirr.env.logs import STARTED
from mirr.env.vocabulary import Service
from mirr.env.world import Level, LogLine
from tests.fakes.clock import FakeClock
from tests.fakes.lab import FakeLab

ENDED_AT_S = 2000.0


def line(at_s: float, event: str, level: str = "INFO", **rest: object) -> tuple[float, str]:
    """A line of a service's log, as the lab keeps it."""
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat()
    return at_s, json.dumps({"timestamp": stamp, "level": level, "service": "gateway", "event": event} | rest)


def read(*lines: tuple[float, str]) -> list[tuple[str, str]]:
    """The events and texts of the digest."""
    lab = FakeLab(FakeClock())
    lab.services[Service.GATEWAY].lines = list(lines)
    return [(one.event, one.text) for one in read_log(lab, Service.GATEWAY, since=1000.0, now=ENDED_AT_S)]


def requests(count: int) -> list[tuple[float, str]]:
    """As many lines of ordinary requests, the last ones before the log is read."""
    return [line(ENDED_AT_S - 0.025 * ago, "request", path="/browse") for ago in range(count, 0, -1)]


def test_a_start_is_shown_however_much_a_busy_service_has_written_since() -> None:
    shown = read(line(1900.0, STARTED, release="1.5.0"), *requests(4000))
    assert shown[0] == (STARTED, "release=1.5.0")
    assert len(shown) == 20


def test_of_what_is_not_recent_only_starts_are_shown() -> None:
    old_error = line(1900.0, "unhandled", level="ERROR", about=STARTED)
    assert ("unhandled", f"about={STARTED}") not in read(old_error, *requests(400))
    assert ("unhandled", f"about={STARTED}") in read(old_error, *requests(399))


def test_what_was_written_before_the_time_asked_for_is_not_shown() -> None:
    assert read(line(999.0, STARTED, release="1.4.0")) == []


def test_a_json_line_becomes_a_log_line() -> None:
    raw = (
        '{"timestamp": "2026-01-01T00:00:00.500Z", "level": "warning", "service": "orders", '
        '"event": "upstream_failed", "upstream": "payments", "reason": "refused", "trace_id": "abc"}'
    )
    assert parse_line(raw, now=1767225602.5) == LogLine(
        age_s=2.0, level=Level.WARNING, event="upstream_failed", text="upstream=payments reason=refused"
    )


def test_a_line_that_is_not_json_is_kept_as_an_error() -> None:
    assert parse_line("Killed", now=0.0) == LogLine(age_s=0.0, level=Level.ERROR, event="stderr", text="Killed")
    assert parse_line("  ", now=0.0) is None
    deep = "[" * 100_000
    assert parse_line(deep, now=0.0) == LogLine(age_s=0.0, level=Level.ERROR, event="stderr", text=deep[:300])
