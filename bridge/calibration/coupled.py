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
from mirr.bridge.calibration.moments import Reference, gaps, loss, moments
from mirr.bridge.calibration.simulate import simulated
from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.recording import Play
from mirr.env.simulator.parameters import ParameterError, Parameters
from mirr.lab.installation import HERE

FIRST_STEP = 0.3  # of the search, in logarithms of a parameter
MOST_CHANGE = 2.0  # in logarithms: about 7 times as large or as small
NUDGE = 0.1  # by how much a parameter is moved to see what answers
VOID = 1.0  # what a play counts, in spreads, that a candidate cannot play
LEAST_ANSWER = 0.02  # share of the strongest answer; below it, a direction is not known at all

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

    def moments_of(self, parameters: Parameters) -> NDArray[np.float64]:  # (plays, parts, roles, features)
        """The moments of all plays in the simulator; NaN for a play that is void."""
        return simulated_moments(self.plays, parameters, self.lab)

    def loss(self, values: Mapping[str, float]) -> float:
        """How far the simulator is from the lab with these values."""
        try:
            parameters = self.complete(values)
        except ParameterError:
            return VOID
        found = self.moments_of(parameters)
        void = float(np.isnan(found).all(axis=(1, 2, 3)).mean())
        apart = loss(gaps(self.lab, found))
        return VOID if apart is None else apart + VOID * void


def simulated_moments(plays: Sequence[Play], parameters: Parameters, lab: Reference) -> NDArray[np.float64]:
    """The moments of plays in the simulator, in their order; NaN for a play that is void."""
    played = simulated(plays, parameters).by_key
    nothing = np.full(lab.moments.shape[1:], np.nan)
    return np.stack([moments(played[play.key], lab.scale) if play.key in played else nothing for play in plays])


@dataclass(frozen=True, kw_only=True)
class Search:
    """What the search found."""

    values: Mapping[str, float]
    loss: float
    evaluations: int


def search(
    simulation: Simulation,
    start: Mapping[str, float],
    *,
    evaluations: int,
    seed: int,
    say: Callable[[int, float], None] = lambda number, best: None,
) -> Search:
    """The values with the smallest loss that CMA-ES finds. The start is one of the candidates."""
    cma = needed_cma()
    names = list(start)
    best, best_loss, tried = dict(start), simulation.loss(start), 1
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
        losses = [simulation.loss(candidate) for candidate in candidates]
        strategy.tell(steps, losses)
        tried += len(losses)
        if min(losses) < best_loss:
            best_loss = min(losses)
            best = candidates[losses.index(best_loss)]
        say(tried, best_loss)
    return Search(values=best, loss=best_loss, evaluations=tried)


def coupled_intervals(
    simulation: Simulation, values: Mapping[str, float], *, draws: int, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """The 95% interval of each value: how far it moves if the gaps are those of a sample of the plays.

    The answer of the moments is taken as linear. A value that no moment answers to gets the bounds of the search."""
    names, count = list(values), len(simulation.plays)
    found = simulation.moments_of(simulation.complete(values))
    at_best = gaps(simulation.lab, found)
    answers = []
    for name in names:
        moved = simulation.moments_of(simulation.complete({**values, name: values[name] * float(np.exp(NUDGE))}))
        answers.append((gaps(simulation.lab, moved) - at_best) / NUDGE)
    answer = np.nan_to_num(np.stack(answers, axis=1))  # (moments, parameters)
    inverse = np.linalg.pinv(answer, rcond=LEAST_ANSWER)
    shifts = []
    for _ in range(draws):
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        shifts.append(-inverse @ np.nan_to_num(gaps(simulation.lab, found, drawn) - at_best))
    strongest = float(np.linalg.norm(answer, axis=0).max()) if names else 0.0
    result = {}
    for place, name in enumerate(names):
        known = np.linalg.norm(answer[:, place]) > LEAST_ANSWER * strongest
        interval = percentile_interval([float(shift[place]) for shift in shifts]) if known else None
        low, high = interval or (-MOST_CHANGE, MOST_CHANGE)
        low, high = max(low, -MOST_CHANGE), min(high, MOST_CHANGE)
        result[name] = (values[name] * float(np.exp(low)), values[name] * float(np.exp(high)))
    return result
