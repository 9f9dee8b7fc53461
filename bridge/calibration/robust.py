"""Statistics that a few hiccups do not change: a pause of the machine is not a property of the lab."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

TRIMMED = 0.1  # of the values at each end
_OF_NORMAL = 0.662  # standard deviation of what is left of standard normal numbers then


def middle(values: ArrayLike) -> float:
    """The mean without the largest and the smallest tenth."""
    return float(_inner(values).mean())


def distance(one: ArrayLike, other: ArrayLike) -> float:
    """The mean distance of two samples of the same size, value by value in their order, without their largest and
    smallest tenth."""
    return float(np.abs(_inner(one) - _inner(other)).mean())


def deviation(values: ArrayLike) -> float:
    """The standard deviation of normal values, from the middle four fifths of them."""
    return float(_inner(values).std()) / _OF_NORMAL


def _inner(values: ArrayLike) -> NDArray[np.float64]:
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = int(TRIMMED * ordered.size)
    return ordered[cut : ordered.size - cut]
