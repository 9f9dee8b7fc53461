"""The digest of a service's log that an agent reads. It is made the same way in every world."""

from __future__ import annotations

from collections.abc import Iterable

from mirr.env.world import Level, LogLine

MAX_LINES = 20
KEPT_STARTS = 3
PREFIX_CHARACTERS = 24  # texts with the same beginning are one kind of line: "POST /charges 500 12 ms"


def digest(lines: Iterable[LogLine], limit: int = MAX_LINES) -> tuple[LogLine, ...]:
    """At most `limit` of `lines`, oldest first: the latest `started` lines, then the latest of each kind of
    warning and error, then the latest of the rest."""
    newest_first = sorted(lines, key=lambda line: line.age_s)
    kept: list[LogLine] = [line for line in newest_first if line.event == "started"][: min(KEPT_STARTS, limit)]
    seen: set[tuple[str, str]] = set()
    for line in newest_first:
        kind = (line.event, line.text[:PREFIX_CHARACTERS])
        if line.level is Level.INFO or line.event == "started" or kind in seen:
            continue
        seen.add(kind)
        kept.append(line)
    kept = kept[:limit]
    ordinary = [line for line in newest_first if line.level is Level.INFO and line.event != "started"]
    kept += ordinary[: limit - len(kept)]
    return tuple(sorted(kept, key=lambda line: -line.age_s))
