"""A clock that moves only when code calls `sleep`."""

from __future__ import annotations


class FakeClock:
    """A clock that moves only when code calls `sleep`."""

    def __init__(self) -> None:
        self.time_s = 1_000.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds
