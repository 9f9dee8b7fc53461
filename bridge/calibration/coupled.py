"""The method of simulated moments: what no probe shows alone is fitted to all of them together.

A candidate is played in the simulator, with the same plays and seeds as the lab. CMA-ES looks for the candidate whose
moments are nearest. The uncertainty follows from how the moments answer to each parameter, and how they scatter over
samples of plays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.moments import Reference, gaps, misfit, moments, noise
from mirr.bridge.calibration.simulate import simulated
from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.recording import Play
from mirr.env.evaluation import Z_95
from mirr.env.simulator.parameters import ParameterError, Parameters
from mirr.lab.installation import HERE

FIRST_STEP = 0.3  # of the search, in logarithms of a parameter
MOST_CHANGE = 2.0  # in logarithms: about 7 times as large or as small
NUDGE = 0.1  # by how much a parameter is moved to see what answers
VOID = 10.0  # how much worse a candidate is that can play nothing

Complete = Callable[[Mapping[str, float]], Parameters]
"""Parameters with these coupled values, and the others fitted to match."""


def needed_cma() -> Any:
    """The module. Raises CalibrationError if it is not installed."""
    try:
        import cma
    except ImportError as error:
        raise CalibrationError(
            f"the method of simulated moments needs cma; next: {HERE.add_extra('calibrate')}, or --closed-form"
        ) from error
    return cma


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """Plays candidates and compares them with the lab."""

    plays: Sequence[Play]
    lab: Reference  # of the same plays, in the same order
    complete: Complete
    scatter: NDArray[np.float64]  # (moments,), what the gaps are by chance

    def moments_of(self, parameters: Parameters) -> NDArray[np.float64]:  # (plays, parts, roles, features)
        """The moments of all plays in the simulator; NaN for a play that is void."""
        return simulated_moments(self.plays, parameters, self.lab)

    def misfit(self, values: Mapping[str, float]) -> float:
        """How far the simulator is from the lab with these values."""
        try:
            parameters = self.complete(values)
        except ParameterError:
            return VOID
        found = self.moments_of(parameters)
        void = float(np.isnan(found).all(axis=(1, 2, 3)).mean())
        apart = misfit(gaps(self.lab, found), self.scatter)
        return VOID if apart is None else apart + VOID * void


def simulated_moments(plays: Sequence[Play], parameters: Parameters, lab: Reference) -> NDArray[np.float64]:
    """The moments of plays in the simulator, in their order; NaN for a play that is void."""
    played = simulated(plays, parameters).by_key
    nothing = np.full(lab.moments.shape[1:], np.nan)
    return np.stack([moments(played[play.key], lab.scale) if play.key in played else nothing for play in plays])


def simulation_of(plays: Sequence[Play], lab: Reference, complete: Complete, start: Mapping[str, float]) -> Simulation:
    """The simulation of plays. What is chance is judged with the values that the search begins with."""
    scatter = noise(lab, simulated_moments(plays, complete(start), lab))
    return Simulation(plays=plays, lab=lab, complete=complete, scatter=scatter)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the search found."""

    values: Mapping[str, float]
    misfit: float
    evaluations: int


def search(
    simulation: Simulation,
    start: Mapping[str, float],
    *,
    evaluations: int,
    seed: int,
    say: Callable[[int, float], None] = lambda number, best: None,
) -> Search:
    """The values with the smallest misfit that CMA-ES finds. The start is one of the candidates."""
    cma = needed_cma()
    names = list(start)
    best, least, tried = dict(start), simulation.misfit(start), 1
    options = {
        "seed": seed + 1,  # to cma, 0 means the time
        "bounds": [-MOST_CHANGE, MOST_CHANGE],
        "maxfevals": evaluations,
        "verbose": -9,
    }
    strategy = cma.CMAEvolutionStrategy([0.0] * len(names), FIRST_STEP, options)
    while tried < evaluations and not strategy.stop():
        steps = strategy.ask()
        candidates = [
            {name: start[name] * float(np.exp(x)) for name, x in zip(names, step, strict=True)} for step in steps
        ]
        found = [simulation.misfit(candidate) for candidate in candidates]
        strategy.tell(steps, found)
        tried += len(found)
        if min(found) < least:
            least = min(found)
            best = candidates[found.index(least)]
        say(tried, least)
    return Search(values=best, misfit=least, evaluations=tried)


def coupled_intervals(
    simulation: Simulation, values: Mapping[str, float], *, draws: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """The 95% interval of each value: how far it moves if the gaps are those of a sample of the plays.

    The answer of the moments is taken as linear. An interval is at least as wide as chance alone makes it, and a value
    that no moment answers to gets the bounds of the search."""
    names, count = list(values), len(simulation.plays)
    found = simulation.moments_of(simulation.complete(values))
    at_best = gaps(simulation.lab, found)
    answers = []
    for name in names:
        moved = simulation.moments_of(simulation.complete({**values, name: values[name] * float(np.exp(NUDGE))}))
        answers.append((gaps(simulation.lab, moved) - at_best) / simulation.scatter / NUDGE)
    answer = np.nan_to_num(np.stack(answers, axis=1))  # (moments, parameters), in units of chance
    variance = np.linalg.inv(answer.T @ answer + np.eye(len(names)) / MOST_CHANGE**2)
    shifts = []
    for _ in range(draws):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        moved_by = (gaps(simulation.lab, found, drawn) - at_best) / simulation.scatter
        shifts.append(-variance @ answer.T @ np.nan_to_num(moved_by))
    result = {}
    for place, name in enumerate(names):
        chance = Z_95 * float(np.sqrt(variance[place, place]))
        low, high = percentile_interval([float(shift[place]) for shift in shifts]) or (0.0, 0.0)
        low, high = max(min(low, -chance), -MOST_CHANGE), min(max(high, chance), MOST_CHANGE)
        result[name] = (values[name] * float(np.exp(low)), values[name] * float(np.exp(high)))
    return result
