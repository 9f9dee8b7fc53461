"""The clock of a round: it runs while the round is played, and stands while it is paused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RoundClock:
    """How long a round has been played. Times are seconds since the epoch, so that they outlive a restart."""

    limit_s: float = 0.0  # 0: no limit
    played_s: float = 0.0  # until it last stopped
    running_since: float | None = None

    def start(self, at: float) -> None:
        """Run from now on."""
        if self.running_since is None:
            self.running_since = at

    def stop(self, at: float) -> None:
        """Stand from now on."""
        self.played_s = self.elapsed_s(at)
        self.running_since = None

    def elapsed_s(self, at: float) -> float:
        """How long the round has been played, at most its limit."""
        running = 0.0 if self.running_since is None else max(0.0, at - self.running_since)
        elapsed = self.played_s + running
        return min(elapsed, self.limit_s) if self.limit_s else elapsed

    def is_out(self, at: float) -> bool:
        """Whether the time is up."""
        return bool(self.limit_s) and self.elapsed_s(at) >= self.limit_s
