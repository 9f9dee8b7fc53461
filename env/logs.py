"""The digest of a service's log that an agent reads, and the same as numbers. Both are made alike in every world."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.env.world import Level, LogLine

STARTED = "started"  # the event of a process that begins to listen
TURNED_AWAY = "shed"  # the event of requests turned away
UPSTREAM_FAILED = "upstream_failed"  # the event of a call that failed; its text names the upstream
MAX_LINES = 20
KEPT_STARTS = 3
PREFIX_CHARACTERS = 24  # texts with the same beginning are one kind of line: "POST /charges 500 12 ms"


def digest(lines: Iterable[LogLine], limit: int = MAX_LINES) -> tuple[LogLine, ...]:
    """At most `limit` of `lines`, oldest first: the latest `started` lines, then the latest of each kind of
    warning and error, then the latest of the rest."""
    newest_first = sorted(lines, key=lambda line: line.age_s)
    kept: list[LogLine] = [line for line in newest_first if line.event == STARTED][: min(KEPT_STARTS, limit)]
    seen: set[tuple[str, str]] = set()
    for line in newest_first:
        kind = (line.event, line.text[:PREFIX_CHARACTERS])
        if line.level is Level.INFO or line.event == STARTED or kind in seen:
            continue
        seen.add(kind)
        kept.append(line)
    kept = kept[:limit]
    ordinary = [line for line in newest_first if line.level is Level.INFO and line.event != STARTED]
    kept += ordinary[: limit - len(kept)]
    return tuple(sorted(kept, key=lambda line: -line.age_s))


class LogNumber(StrEnum):
    """One number of what the last reading of a service's log told; the order is the column order."""

    READ = "read"  # 1 if the log was read in this episode, else 0, and then all the others are 0 too
    STEPS_AGO = "steps_ago"  # how many steps ago that was; 0 if it was the last action
    STARTS = "starts"  # lines that say that a process has started
    ERRORS = "errors"  # events that are errors, each counted once
    WARNINGS = "warnings"  # upstreams to which calls failed, each counted once
    TURNED_AWAY = "turned_away"  # 1 if requests were turned away
    OTHER_RELEASE = "other_release"  # 1 if the last start was of another release than the one of steady state


LOG_NUMBERS_SHAPE = (len(Service), len(LogNumber))


def counts(lines: Iterable[LogLine]) -> tuple[int, int, int, int, int]:
    """What a digest tells, as numbers: starts, errors, warnings, requests turned away, other release.

    Different things are counted, and not lines: how many lines there are depends on how busy a service is, and on the
    world. A container that was deployed anew has a new log. So the last start is compared with the release of steady
    state.
    """
    digested = tuple(lines)
    starts = sorted((line for line in digested if line.event == STARTED), key=lambda line: -line.age_s)
    failed = [line.text.split() for line in digested if line.event == UPSTREAM_FAILED]
    return (
        len(starts),
        len({line.event for line in digested if line.level is Level.ERROR}),
        len({part for text in failed for part in text if part.startswith("upstream=")}),
        int(any(line.event == TURNED_AWAY for line in digested)),
        int(bool(starts) and f"release={STEADY_RELEASE}" not in starts[-1].text.split()),
    )


def log_numbers(told: NDArray[np.float64], step: Any) -> NDArray[np.float32]:  # (..., services, log numbers)
    """The numbers that an agent sees at `step`. `told` has, for each service, the step of its last reading (0 if there
    was none) and the five counts."""
    read = told[..., :1] > 0.0
    ago = np.asarray(step)[..., None] - told[..., :1]
    found = np.concatenate([np.ones_like(ago), ago, told[..., 1:]], axis=-1)
    return np.where(read, found, 0.0).astype(np.float32)


class LogBook:
    """Remembers what the last reading of each service's log told, through one episode."""

    def __init__(self) -> None:
        self._told = np.zeros((len(Service), len(LogNumber) - 1))
        self._step = 0

    def note(self, step: int, logs_of: Service | None, lines: Iterable[LogLine]) -> None:
        """An observation: its step, and the log that was read with it, if one was."""
        self._step = step
        if logs_of is not None:
            self._told[list(Service).index(logs_of)] = (step, *counts(tuple(lines)))

    def numbers(self) -> NDArray[np.float32]:  # (services, log numbers)
        """What is known now."""
        return log_numbers(self._told, np.full(len(Service), self._step))
