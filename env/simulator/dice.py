"""The simulator's random numbers, drawn many at a time: a call to a generator costs more than what it draws."""

from __future__ import annotations

import numpy as np

_TICKS = 128
_WINDOWS = 16

Gauges = tuple[list[float], list[float], list[float]]


class Dice:
    """Users and campaign draws tick by tick, scatter of what is observed window by window."""

    __slots__ = ("_gauges", "_left", "_means", "_rng", "place", "size", "surges", "users")

    def __init__(self, rng: np.random.Generator, means: list[float]) -> None:
        # A generator each, so that how long an injection takes does not shift what is observed.
        self._rng, gauges = rng.spawn(2)
        self._gauges = gauges
        self._means = np.array(means)  # (journeys,) expected arrivals a tick
        self._left: list[Gauges] = []
        self.size = _TICKS
        self.place = 0
        self.throw()

    def throw(self) -> None:
        """Draw the next ticks: Poisson arrivals of each journey, a standard normal for the campaign."""
        self.users: list[list[float]] = self._rng.poisson(self._means, (_TICKS, len(self._means))).tolist()
        self.surges: list[float] = self._rng.standard_normal(_TICKS).tolist()
        self.place = 0

    def gauges(self) -> Gauges:
        """For one window: a normal draw for each journey, one for each service, a uniform one for each service."""
        if not self._left:
            normal = self._gauges.standard_normal((_WINDOWS, 8)).tolist()
            uniform = self._gauges.random((_WINDOWS, 5)).tolist()
            self._left = [(row[:3], row[3:], flat) for row, flat in zip(normal, uniform, strict=True)][::-1]
        return self._left.pop()
