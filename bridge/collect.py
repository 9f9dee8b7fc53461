"""Plays a plan in a World and records it: within a budget of time, and from where an earlier run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mirr.bridge.collect_plays import Player
from mirr.bridge.recording import Play, PlayKind
from mirr.bridge.recording_file import RecordingFile
from mirr.env.world import WorldError

MOST_FAILURES = 3  # plays in a row during which the world failed


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a collection is after a play."""

    play: Play
    seconds: float  # the play took
    void: str  # why the play is void; empty if it is not
    done: int  # plays of the plan, with those of earlier runs
    of: int
    left_s: float  # about how much longer this run will take


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What one run did."""

    played: int
    void: int
    done: int  # plays of the plan, with those of earlier runs
    of: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether nothing of the plan is left."""
        return self.done == self.of


class Pace:
    """How long plays take. Each kind has a mean of its own."""

    def __init__(self) -> None:
        self._seconds: dict[PlayKind, list[float]] = {}

    def add(self, kind: PlayKind, seconds: float) -> None:
        """A play of that kind took so long."""
        self._seconds.setdefault(kind, []).append(seconds)

    def expected_s(self, kind: PlayKind) -> float:
        """How long the next one will take. For a kind that was not played yet, as long as all others; at first 0."""
        known = self._seconds.get(kind) or [one for times in self._seconds.values() for one in times]
        return sum(known) / len(known) if known else 0.0

    def sum_s(self, plays: Iterable[Play]) -> float:
        """How long all these will take."""
        return sum(self.expected_s(play.kind) for play in plays)


def collect(
    plan: Sequence[Play],
    player: Player,
    file: RecordingFile,
    *,
    budget_s: float | None = None,
    say: Callable[[Progress], None] = lambda progress: None,
    now: Callable[[], float] = time.monotonic,
    utc: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Collected:
    """Play what the file does not have yet. No play begins that would end after the budget.

    A play during which the world fails is void and noted as such. Raises WorldError after the third in a row."""
    began, pace = now(), Pace()
    waiting = [play for play in plan if play.key not in file.recordings.by_key]
    done, played, void, in_a_row = len(plan) - len(waiting), 0, 0, 0
    for place, play in enumerate(waiting):
        if budget_s is not None and now() - began + pace.expected_s(play.kind) > budget_s:
            break
        seconds, why = _play_one(play, player, file, now, utc().isoformat(timespec="seconds"))
        if why:
            void, in_a_row = void + 1, in_a_row + 1
        else:
            played, done, in_a_row = played + 1, done + 1, 0
            pace.add(play.kind, seconds)
        if in_a_row == MOST_FAILURES:
            raise WorldError(f"{why} (the world failed in {MOST_FAILURES} plays in a row)")
        left_s = pace.sum_s(waiting[place + 1 :])
        if budget_s is not None:
            left_s = min(left_s, max(0.0, budget_s - (now() - began)))
        say(Progress(play=play, seconds=seconds, void=why, done=done, of=len(plan), left_s=left_s))
    return Collected(played=played, void=void, done=done, of=len(plan), seconds=now() - began)


def _play_one(play: Play, player: Player, file: RecordingFile, now: Callable[[], float], at: str) -> tuple[float, str]:
    """Play and write one play. Returns how long it took, and why it is void; the text is empty if it is not."""
    began = now()
    try:
        result = player.play(play)
    except WorldError as error:
        file.add_void(play, str(error))
        return now() - began, str(error)
    seconds = now() - began
    file.add(
        result.tape.recording(
            play, result.culprit, session=file.session, began=at, seconds=seconds, ending=result.ending
        )
    )
    return seconds, ""
