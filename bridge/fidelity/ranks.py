"""How well one world orders policies as the other does. The real world is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Rates = Sequence[float] | NDArray[np.float64]  # the success of each policy, 0..1


class Ties(StrEnum):
    """What it means if the simulator cannot tell two policies apart that really differ."""

    VIOLATE = "violate"  # it does not rank them as they are ranked
    AGREE = "agree"  # it says nothing wrong


def pearson(*, real: Rates, sim: Rates) -> float | None:
    """The linear correlation. None with fewer than three policies, or if one world gives all the same."""
    a, b = _checked(real, sim)
    if a.size < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def spearman(*, real: Rates, sim: Rates) -> float | None:
    """The correlation of the ranks; tied policies share the mean of their ranks. None as for `pearson`."""
    a, b = _checked(real, sim)
    return pearson(real=mean_ranks(a), sim=mean_ranks(b))


def mean_ranks(values: Rates) -> NDArray[np.float64]:
    """The rank of each value from 1 up; equal values share the mean of their ranks."""
    _, place, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[place])


def mean_maximum_rank_violation(*, real: Rates, sim: Rates, ties: Ties) -> float | None:
    """For each policy, the most that it really differs from a policy which the simulator puts on its wrong side; the
    mean over all policies. 0 is the same order. None without policies.

    A pair that really ties violates nothing. `ties` says what a tie in the simulator means."""
    a, b = _checked(real, sim)
    if not a.size:
        return None
    really, simulated = np.sign(a[:, None] - a[None, :]), np.sign(b[:, None] - b[None, :])
    wrong = really * simulated < 0.0
    if ties is Ties.VIOLATE:
        wrong |= (really != 0.0) & (simulated == 0.0)
    return float((np.abs(a[:, None] - a[None, :]) * wrong).max(axis=1).mean())


def regret(*, real: Rates, sim: Rates) -> float | None:
    """What it really costs to take the policy that is best in the simulator. Of several that tie there, it is the
    worst one. None without policies."""
    a, b = _checked(real, sim)
    return float(a.max() - a[b == b.max()].min()) if a.size else None


def mean_gap(*, real: Rates, sim: Rates) -> float | None:
    """The mean absolute difference. None without policies."""
    a, b = _checked(real, sim)
    return float(np.abs(a - b).mean()) if a.size else None


def _checked(real: Rates, sim: Rates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(real, dtype=np.float64), np.asarray(sim, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"both worlds need one rate for each policy; got {a.shape} and {b.shape}")
    return a, b
