"""A stranger in the table: the robust scorer of BARO, a published method of root cause analysis, as a policy.

BARO (L. Pham, H. Ha, H. Zhang: "BARO: Robust Root Cause Analysis for Microservices via Multivariate Bayesian Online
Change Point Detection", FSE 2024; also in RCAEval, the benchmark of the same authors) scales each metric by its median
and its interquartile range before the failure, and ranks metrics by how far they are off after it. It needs neither a
call graph nor logs, and knows nothing of this project. It names the metric that moved most, and so the service. Which
mode that means is ours (`MODE_OF_FEATURE`), and so is when it is asked and what is done then.

An episode begins with the incident. So the windows from before it are those of an ordinary day, from the simulator.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirr.env.environment import Environment, Observation
from mirr.env.objectives import FEATURE_COLUMN
from mirr.env.scenario import Scenario
from mirr.env.simulator.world import SimulatedWorld
from mirr.env.vocabulary import REMEDY, Action, Diagnose, Fault, FaultMode, Feature, Service, Wait

MODE_OF_FEATURE: Final = {
    Feature.UP: FaultMode.CRASHED,
    Feature.REQUEST_RATE: FaultMode.OVERLOADED,
    Feature.ERROR_RATIO: FaultMode.BAD_DEPLOY,
    Feature.LATENCY_P95_S: FaultMode.OVERLOADED,
    Feature.CPU_SHARE: FaultMode.OVERLOADED,
    Feature.MEMORY_SHARE: FaultMode.MEMORY_LEAK,
    Feature.IN_FLIGHT: FaultMode.OVERLOADED,
}
"""The mode that a metric suggests if it moved most."""

BEFORE_SEED: Final = 1 << 40  # of the ordinary day: far from every seed that anybody plays
ALARM: Final = 5.0  # interquartile ranges; an ordinary day stays below
SMALLEST_RANGES: Final = {Feature.REQUEST_RATE: 1.0, Feature.IN_FLIGHT: 1.0}  # of what is counted
SMALLEST_RANGE: Final = 0.01  # of the others, in their units: some never move on an ordinary day
LAST_WINDOWS: Final = 2  # that are scored: one alone may not have seen much
PATIENCE_STEPS: Final = 6  # after a fix, until the ranking is asked again


@cache
def ordinary_day() -> NDArray[np.float32]:  # (windows, services, features)
    """What is seen when nothing is broken, once for a process."""
    environment = Environment(SimulatedWorld())
    observation, _ = environment.reset(scenario=Scenario(seed=BEFORE_SEED, timeline=()))
    windows = [observation.features]
    while observation.steps_left:
        observation, *_ = environment.step(Wait())
        windows.append(observation.features)
    return np.array(windows)


def robust_scores(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far each metric of each service is off, in interquartile ranges. Takes (windows, services, features), and
    returns (services, features). A metric that could not be measured in any window gets 0."""
    low, median, high = np.nanpercentile(before, [25.0, 50.0, 75.0], axis=0)
    smallest = [SMALLEST_RANGES.get(feature, SMALLEST_RANGE) for feature in Feature]
    off = np.abs(after - median) / np.maximum(high - low, smallest)
    scores: NDArray[np.float64] = np.nan_to_num(off, nan=0.0).max(axis=0)
    return scores


class BaroPolicy:
    """Waits for an alarm, diagnoses what moved most, fixes it, and asks again if that did not help."""

    def __init__(self) -> None:
        self._before = ordinary_day()
        self._begin()

    def _begin(self) -> None:
        self._after: list[NDArray[np.float32]] = []
        self._named: Fault | None = None  # said in the last step, and not fixed yet
        self._tried: set[Fault] = set()
        self._fixed_at = -PATIENCE_STEPS

    def reset(self, rng: np.random.Generator) -> None:
        """Forget the last episode."""
        self._begin()

    def act(self, observation: Observation) -> Action:
        """Wait, name the first fault of the ranking that was not tried, or fix it."""
        self._after = [*self._after, observation.features][-LAST_WINDOWS:]
        fault, self._named = self._named, None
        if fault is not None:
            self._fixed_at = observation.step
            return REMEDY[fault.mode](fault.service)
        if observation.step - self._fixed_at < PATIENCE_STEPS:
            return Wait()
        fault = self._first_of_the_ranking()
        if fault is None:
            return Wait()
        self._tried.add(fault)
        self._named = fault
        return Diagnose(fault.service, fault.mode)

    def _first_of_the_ranking(self) -> Fault | None:
        """None if nothing is off that was not tried."""
        scores = robust_scores(self._before, np.array(self._after))
        cells = [
            (scores[row, column], service, feature)
            for row, service in enumerate(Service)
            for feature, column in FEATURE_COLUMN.items()
        ]
        for score, service, feature in sorted(cells, key=lambda cell: -cell[0]):
            fault = Fault(MODE_OF_FEATURE[feature], service)
            if score >= ALARM and fault not in self._tried:
                return fault
        return None
