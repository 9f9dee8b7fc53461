"""The clock of the engine's machine, which its containers have too. It may differ from this machine's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from docker.errors import DockerException
from requests.exceptions import RequestException

if TYPE_CHECKING:
    from docker import DockerClient

UNSEEN_S = 0.5  # the engine takes a moment to answer, so a smaller difference shows nothing
MEASURE_AGAIN_S = 300.0
NOTED_S = 2.0  # a difference from which on people are told


class EngineClock:
    """The engine's clock. `ask` is asked again when this machine's clock was set, and every few minutes.

    `ask` may raise what docker-py raises. The difference that was measured last then holds on."""

    def __init__(
        self,
        ask: Callable[[], float],
        *,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._now = now
        self._ticks = ticks
        self._skew_s = 0.0
        self._measured: tuple[float, float] | None = None  # this machine's clock less its ticks, and its ticks

    @classmethod
    def of(cls, client: DockerClient) -> EngineClock:
        """The clock of this engine."""
        return cls(lambda: system_time(client.info()))

    def now(self) -> float:
        """The Unix time of the engine and its containers."""
        return self._now() + self.skew_s()

    def skew_s(self) -> float:
        """By how much the engine's clock is ahead of this machine's."""
        offset, ticks = self._now() - self._ticks(), self._ticks()
        if self._measured is not None:
            was_set = abs(offset - self._measured[0]) > UNSEEN_S
            if not was_set and ticks - self._measured[1] < MEASURE_AGAIN_S:
                return self._skew_s
        try:
            self._skew_s = self._difference()
        except (DockerException, RequestException, ValueError, KeyError):
            return self._skew_s  # whoever works with the engine next says what is wrong with it
        self._measured = (offset, ticks)
        return self._skew_s

    def _difference(self) -> float:
        before = self._now()
        theirs = self._ask()
        after = self._now()
        difference = theirs - (before + after) / 2
        return difference if abs(difference) > max(UNSEEN_S, after - before) else 0.0


def system_time(info: dict[str, object]) -> float:
    """The engine's Unix time, from what it says about itself. Raises KeyError or ValueError."""
    return datetime.fromisoformat(str(info["SystemTime"])).timestamp()


def in_words(skew_s: float) -> str:
    """How the clocks differ, for people."""
    if abs(skew_s) < NOTED_S:
        return "the engine's clock agrees with this machine's"
    way = "ahead of" if skew_s > 0 else "behind"
    return f"the engine's clock is {abs(skew_s):,.0f} s {way} this machine's"
