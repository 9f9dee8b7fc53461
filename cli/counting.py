"""Tells on stderr how many episodes have been played: a bar on a terminal, a line now and then to a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from mirr.cli.worlds import WorldName

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mirr.env.rollout import EpisodeResult

A_LINE_EVERY_S = 10.0


class Counter(Protocol):
    """Gets to know how many episodes have been played."""

    def after(self, result: EpisodeResult, number: int) -> None:
        """Episode `number` is over, and perhaps others before it."""


class Lines:
    """A line for each episode. This is for the lab, where an episode takes half a minute."""

    def __init__(self, of: int) -> None:
        self._of = of

    def after(self, result: EpisodeResult, number: int) -> None:
        """Print how the episode went."""
        from mirr.cli.watching import faults_text

        report = result.report
        _say(
            f"[{number}/{self._of}] {result.world} {result.policy} seed {result.seed}: {faults_text(report.scenario)} "
            f"{report.outcome} after {report.steps} steps, reward {report.total_reward:.1f}"
        )


class LineNowAndThen:
    """A line every few seconds. This is for a pipe or a file."""

    def __init__(self, what: str, of: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._of = of
        self._now = now
        self._said_at_s = now()

    def after(self, result: EpisodeResult, number: int) -> None:
        """Print how many have been played, if it has not been said for a while."""
        if self._now() - self._said_at_s >= A_LINE_EVERY_S:
            self._said_at_s = self._now()
            _say(f"[{number}/{self._of}] {self._what}")


class Bar:
    """One bar that fills. This is for a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def after(self, result: EpisodeResult, number: int) -> None:
        """Fill the bar up to here."""
        self._progress.update(self._task, completed=number)


@contextmanager
def counter(world: WorldName, policy: str, of: int) -> Iterator[Counter]:
    """Counts `of` episodes in the way that suits the world and stderr."""
    if world is WorldName.DOCKER:
        yield Lines(of)
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield Bar(progress, progress.add_task(f"{policy} in {world}", total=of))
    else:
        yield LineNowAndThen(f"{world} {policy}", of)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
