"""Solves the table of fitters, and again for samples of plays: that is the uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirr.bridge.calibration.errors import CalibrationError
from mirr.bridge.calibration.fitters import FITTERS, Fitter
from mirr.bridge.calibration.readings import Rows
from mirr.bridge.calibration.values import changed
from mirr.bridge.fidelity.bootstrap import percentile_interval
from mirr.bridge.recording import Recording
from mirr.env.simulator.parameters import ParameterError, Parameters

Interval = tuple[float, float]

LEAST_WIDTH = 0.001  # of a value, to each side: nothing is known better than that
LEAST_VALUE = 1e-9  # a parameter is positive


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What the fitters read from plays."""

    plays: int
    rows: Mapping[Callable[[Recording], Rows], tuple[Rows, ...]]  # for each way of reading, the rows of each play


@dataclass(frozen=True, kw_only=True)
class Solved:
    """Parameters, and which of them were fitted."""

    parameters: Parameters
    values: Mapping[str, float]


def evidence(recordings: Sequence[Recording], fitters: Sequence[Fitter] = FITTERS) -> Evidence:
    """Read every play once."""
    reads = dict.fromkeys(fitter.read for fitter in fitters)
    return Evidence(
        plays=len(recordings), rows={read: tuple(read(recording) for recording in recordings) for read in reads}
    )


def solved(
    found: Evidence,
    base: Parameters,
    fitters: Sequence[Fitter] = FITTERS,
    *,
    fixed: Mapping[str, float] | None = None,
    plays: NDArray[np.int64] | None = None,
) -> Solved:
    """Every parameter that these plays tell. `fixed` ones are set first and stay. Without `plays`, all plays count.

    Raises CalibrationError if the simulator could not run with them."""
    fixed = fixed or {}
    parameters, values = changed(base, fixed), dict(fixed)
    for fitter in fitters:
        rows = found.rows[fitter.read]
        drawn = _together(rows if plays is None else [rows[play] for play in plays])
        if not len(drawn):
            drawn = _together(rows)  # a sample without any such play: what all of them tell is better than nothing
        if not len(drawn):
            continue
        new = {name: value for name, value in fitter.solve(drawn, parameters).items() if name not in fixed}
        try:
            parameters = changed(parameters, new)
        except ParameterError as error:
            raise CalibrationError(
                f"the recordings give numbers with which the simulator cannot run: {error} (from {fitter.probe}); "
                "next: mirr doctor, then record them again"
            ) from error
        values |= new
    return Solved(parameters=parameters, values=values)


def _together(rows: Sequence[Rows]) -> Rows:
    return np.concatenate(rows) if rows else np.empty((0, 1))


def intervals(
    found: Evidence,
    base: Parameters,
    fitters: Sequence[Fitter] = FITTERS,
    *,
    fixed: Mapping[str, float] | None = None,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """The 95% interval of each parameter, from `draws` samples of the plays. What is fixed has none."""
    drawn: dict[str, list[float]] = {}
    for _ in range(draws):
        plays = rng.integers(found.plays, size=found.plays)
        for name, value in solved(found, base, fitters, fixed=fixed, plays=plays).values.items():
            drawn.setdefault(name, []).append(value)
    grains = {name: fitter.grain(base) for fitter in fitters for name in fitter.names}
    result = {}
    for name, values in drawn.items():
        interval = percentile_interval(values)
        if interval is not None and name not in (fixed or {}):
            low, high = (
                interval[0] * (1.0 - LEAST_WIDTH) - grains[name],
                interval[1] * (1.0 + LEAST_WIDTH) + grains[name],
            )
            result[name] = (max(LEAST_VALUE, low), high)
    return result
